// The forward pass: what turns a row of the table into probabilities, as predict_proba does.

const ACTIVATIONS = {
  identity: (z) => z,
  logistic: (z) => 1 / (1 + Math.exp(-z)),
  tanh: Math.tanh,
  relu: (z) => Math.max(z, 0),
};

// A row as it came becomes inputs: numbers are scaled and smoothly clipped; a gap or a level has its value.
const clip = (x, low, high) => Math.max(low, Math.min(high, x));

function inputsOf(row, { inputs, bound, far_out }) {
  return inputs.map(({ column, codes, gap, start, width, mean, scale }) => {
    if (codes) return codes[row[column]] ?? 0;
    if (gap !== undefined) return row[column] === null ? gap : 0;
    if (row[column] === null) return 0;
    const x = width === undefined ? row[column] : clip((row[column] - start) / width, 0, 1);
    if (scale === undefined) return x;
    const z = clip((x - mean) / scale, -far_out, far_out);
    return z / (1 + (z / bound) ** 4) ** 0.25;
  });
}

// One layer: f(a W + b), with W row by row in one array.
function layerOf(a, { W, b }, f) {
  const z = Float64Array.from(b), n = b.length;
  for (let i = 0; i < a.length; i++) for (let k = 0; k < n; k++) z[k] += a[i] * W[i * n + k];
  return z.map(f);
}

// All layers: the activations of each hidden layer, and then the probabilities of the classes.
function forward(inputs, layers, { activation, output }) {
  const passed = [];
  let a = inputs;
  for (const layer of layers.slice(0, -1)) passed.push(a = layerOf(a, layer, ACTIVATIONS[activation]));
  const z = layerOf(a, layers.at(-1), ACTIVATIONS.identity);
  return [...passed, output === "softmax" ? softmax(z) : perClass(z.map(ACTIVATIONS.logistic))];
}

const perClass = (p) => (p.length === 1 ? Float64Array.of(1 - p[0], p[0]) : p);

function softmax(z) {
  const top = Math.max(...z), e = z.map((value) => Math.exp(value - top));
  const sum = e.reduce((total, value) => total + value, 0);
  return e.map((value) => value / sum);
}
