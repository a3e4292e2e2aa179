// ---------------------------------------------------------------- the recording

const R = JSON.parse(document.getElementById("content").textContent);
const { classes, epochs, rows, targets, view } = R;
const isPlane = view.kind === "plane";
const nOutputs = R.sizes.at(-1);
const nHidden = R.sizes.length - 2;

// Parameters of frame f: integers, each the number of steps of its matrix or vector.
const integers = new Int32Array(Uint8Array.from(atob(R.parameters), (c) => c.charCodeAt(0)).buffer);
const framesRead = new Map();

function layersAt(f) {
  if (framesRead.has(f)) return framesRead.get(f);
  let at = f * (integers.length / epochs.length);
  const take = (n, step) => Float64Array.from(integers.subarray(at, (at += n)), (i) => i * step);
  const layers = R.steps.map(([weight, bias], l) => {
    const [n_in, n_out] = R.sizes.slice(l, l + 2);
    return { W: take(n_in * n_out, weight), b: take(n_out, bias), n_in, n_out };
  });
  if (framesRead.size > 40) framesRead.clear();
  framesRead.set(f, layers);
  return layers;
}

const rowInputs = rows.map((row) => inputsOf(row, R.map));

// What came of the rows at frame f: probabilities, answers, and which of them are wrong.
function outcomeAt(f) {
  const layers = layersAt(f);
  const p = rowInputs.map((inputs) => forward(inputs, layers, R).at(-1));
  const answers = p.map((values) => (R.multilabel ? Array.from(values, (v) => +(v > 0.5)) : argmax(values)));
  const wrong = answers.map((answer, i) => String(answer) !== String(targets[i]));
  return { p, answers, wrong, nWrong: wrong.filter(Boolean).length };
}

function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

// ---------------------------------------------------------------- making elements

// Text is only ever put in as text: names may contain whatever they like.
function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "circle", "g", "line", "rect", "text"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const byId = (id) => document.getElementById(id);
const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
const short = (value) => (value < 0 ? "−" : "") + Math.abs(value).toPrecision(3).replace(/\.?0+$|\.?0+(?=e)/, "");
const percent = (p) => (p > 0.995 && p < 1 ? "> 99" : p < 0.005 && p > 0 ? "< 1" : Math.round(100 * p)) + " %";
const largest = (values) => values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);

// ---------------------------------------------------------------- colours and shapes

let colors;
function readColors() {
  const style = getComputedStyle(document.documentElement);
  const rgb = (name) => style.getPropertyValue(name).trim().slice(1).match(/../g).map((h) => parseInt(h, 16));
  colors = { classes: classes.map((_, c) => rgb(`--class-${c % 8}`)) };
  for (const name of ["paper", "ink", "positive", "negative"]) colors[name] = rgb(`--${name}`);
}

const mix = (from, to, share) => from.map((v, i) => v + share * (to[i] - v));

// A value between -1 and 1: paper at zero, indigo above, red below.
const signed = (v) => mix(colors.paper, v < 0 ? colors.negative : colors.positive, Math.min(1, Math.abs(v)));

// The classes by their probabilities, pale where none is likely.
function blended(p) {
  const sure = (Math.max(...p) - 1 / p.length) / (1 - 1 / p.length);
  const full = [0, 0, 0];
  p.forEach((share, c) => colors.classes[c].forEach((v, i) => (full[i] += share * v)));
  return mix(colors.paper, full, 0.08 + 0.36 * sure);
}

function starPath(n, outer, inner, turn = 0) {
  const points = Array.from({ length: inner ? 2 * n : n }, (_, i) => {
    const angle = turn - Math.PI / 2 + (2 * Math.PI * i) / (inner ? 2 * n : n);
    const r = inner && i % 2 ? inner : outer;
    return `${(r * Math.cos(angle)).toFixed(2)} ${(r * Math.sin(angle)).toFixed(2)}`;
  });
  return `M${points.join("L")}Z`;
}

const plus = "M-1.6-5H1.6V-1.6H5V1.6H1.6V5H-1.6V1.6H-5V-1.6H-1.6Z";
const SHAPES = [
  "M-4.6 0a4.6 4.6 0 1 0 9.2 0a4.6 4.6 0 1 0-9.2 0Z",
  "M-4.2-4.2H4.2V4.2H-4.2Z",
  "M0-5.3L5.2 4H-5.2Z",
  "M0-5.8L5.4 0L0 5.8L-5.4 0Z",
  "M0 5.3L5.2-4H-5.2Z",
  plus, plus,
  starPath(5, 6.3, 2.7),
  starPath(5, 5.4),
  starPath(6, 5.2),
];

// The sign of a class: its shape in its colour. A cross is a plus that is turned.
function signOf(c, attributes = {}) {
  const shape = c % SHAPES.length;
  const transform = shape === 5 ? "rotate(45)" : null;
  return make("path", { d: SHAPES[shape], transform, fill: `var(--class-${c % 8})`, ...attributes });
}

const iconOf = (c) => make("svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true" }, signOf(c));

// Fill a canvas of n x m values with colours.
function paint(canvas, width, height, colorAt) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const [r, g, b] = colorAt(i);
    image.data.set([r, g, b, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

// Round numbers between two ends, for the ticks of an axis.
function ticksOf(low, high, about = 4) {
  const raw = (high - low) / about, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= raw);
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-12); i++) ticks.push(i * step);
  return ticks.map((v) => +v.toPrecision(12));
}

// Ticks of a logarithmic axis, at most about six: powers of ten, and what is between where they are few.
function powersOf(low, high) {
  const first = Math.floor(Math.log10(low)), last = Math.floor(Math.log10(high));
  const every = Math.max(1, Math.ceil((last - first) / 5)), ticks = [];
  for (let e = last; e >= first; e -= every) for (const m of last - first <= 2 ? [1, 2, 5] : [1]) ticks.push([m, e]);
  return ticks.map(([m, e]) => [m * 10 ** e, powerOfTen(m, e)]).filter(([v]) => v >= low && v <= high);
}

const superscript = (e) => String(e).replace(/./g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));
const powerOfTen = (m, e) => (Math.abs(e) <= 3 ? String(+(m * 10 ** e).toPrecision(3)) : `${m > 1 ? `${m}·` : ""}10${superscript(e)}`);
const decimal = (v) => String(v).replace("-", "−");

// ---------------------------------------------------------------- the plane as a grid

// As fine as the network allows without a delay.
const nParameters = integers.length / epochs.length;
const GRID = Math.max(32, Math.min(72, Math.floor(Math.sqrt(1.2e7 / nParameters))));
let gridAt = -1, grid;

const onAxis = (axis, share) => view.low[axis] + share * (view.high[axis] - view.low[axis]);

const gridInputs = isPlane && Array.from({ length: GRID * GRID }, (_, i) => {
  const row = view.held.slice(), [cx, cy] = view.columns;
  row[cx] = onAxis(0, (i % GRID) / (GRID - 1));
  row[cy] = onAxis(1, 1 - Math.floor(i / GRID) / (GRID - 1));
  return inputsOf(row, R.map);
});

// Activations and probabilities at the points of the plane, for frame f: grid[layer][unit][point].
function gridOf(f) {
  if (f === gridAt) return grid;
  const layers = layersAt(f), units = [...R.shown, [...classes.keys()]];
  grid = units.map((chosen) => chosen.map(() => new Float64Array(GRID * GRID)));
  gridInputs.forEach((inputs, i) => {
    const passed = forward(inputs, layers, R);
    units.forEach((chosen, l) => chosen.forEach((unit, k) => (grid[l][k][i] = passed[l][unit])));
  });
  gridAt = f;
  return grid;
}


// A unit's picture: sigmoids from 0 to 1, others from minus to plus their largest value.
function paintUnit(canvas, values) {
  const scale = R.activation === "logistic" ? 1 : largest(values) || 1;
  paint(canvas, GRID, GRID, (i) => signed((0.9 * values[i]) / scale));
}

// Lines at which the values of the grid cross a level (marching squares), in units of the grid.
function contour(values, level = 0) {
  const parts = [], at = (x, y) => values[y * GRID + x] - level;
  for (let y = 0; y < GRID - 1; y++) {
    for (let x = 0; x < GRID - 1; x++) {
      const a = at(x, y), b = at(x + 1, y), c = at(x + 1, y + 1), d = at(x, y + 1), cuts = [];
      if (a > 0 !== b > 0) cuts.push([x + a / (a - b), y]);
      if (b > 0 !== c > 0) cuts.push([x + 1, y + b / (b - c)]);
      if (c > 0 !== d > 0) cuts.push([x + 1 - c / (c - d), y + 1]);
      if (d > 0 !== a > 0) cuts.push([x, y + 1 - d / (d - a)]);
      for (let k = 0; k + 1 < cuts.length; k += 2) {
        parts.push(`M${cuts[k].map((v) => v.toFixed(2))}L${cuts[k + 1].map((v) => v.toFixed(2))}`);
      }
    }
  }
  return parts.join("");
}

// Where the likeliest class is no longer the likeliest: for each class, its lead over the others.
function boundaries(p) {
  if (R.multilabel) return p.map((values) => contour(values, 0.5));
  if (p.length === 2) return [contour(p[1], 0.5)];
  return p.map((values, c) => contour(values.map((v, i) => v - Math.max(...p.map((other, k) => (k === c ? 0 : other[i]))))));
}
