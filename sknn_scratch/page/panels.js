// ---------------------------------------------------------------- words

const layerName = (l) => (l > nHidden ? "Output" : nHidden === 1 ? "Hidden layer" : `Hidden layer ${l}`);
const unitName = (l, unit) => (l > nHidden ? outputName(unit) : `unit ${unit}`);
const fullName = (l, unit) => (l > nHidden ? `Output ${outputName(unit)}` : `Unit ${unit}${nHidden > 1 ? ` of hidden layer ${l}` : ""}`);
const outputName = (c) => (nOutputs === 1 ? classes[1] : classes[c]);
const shownIn = (l) => (l === 0 ? view.columns : l > nHidden ? outputsShown : R.shown[l - 1]);
const outputsShown = [...Array(nOutputs).keys()];
// A single output is the probability of the second class.
const classOf = (output) => (nOutputs === 1 ? 1 : output);
const weight = ({ W, n_out }, i, k) => W[i * n_out + k];
// Between the plane's columns and the first layer, the weights of all inputs of a column count.
const edgeWeight = (layers, l, i, k) =>
  l ? weight(layers[l], i, k) : view.inputs[view.columns.indexOf(i)].reduce((sum, input) => sum + weight(layers[0], input, k), 0);

// What a unit is made of, in words: bias, and the weights that come in.
function describe(layers, l, unit) {
  const layer = layers[l - 1];
  const from = l === 1 ? R.inputs.keys() : shownIn(l - 1);
  const strongest = [...from].sort((i, j) => Math.abs(weight(layer, j, unit)) - Math.abs(weight(layer, i, unit))).slice(0, 6);
  const weights = strongest.map((i) => `${l === 1 ? R.inputs[i] : unitName(l - 1, i)} ${short(weight(layer, i, unit))}`);
  return `${fullName(l, unit)}. Weights: ${weights.join(", ")}. Bias: ${short(layer.b[unit])}.`;
}

// ---------------------------------------------------------------- the network as pictures of a plane

let selected = null; // {layer, unit} that is shown in large
const drawn = []; // functions of (frame, outcome, settled) that bring a panel up to date

function networkPanel() {
  byId("network-title").textContent = "The network";
  const hidden = R.sizes.slice(1, -1);
  const left = hidden.map((n, l) => (n > R.shown[l].length ? `${R.shown[l].length} of ${n}` : null)).filter(Boolean);
  const some = left.length ? ` Shown are the units that do most: ${left.join(" and ")}.` : "";
  if (isPlane) {
    byId("network-note").textContent = `What each unit sees of the plane. Lines are weights: solid where positive, dashed where negative.${some}`;
    graph();
  } else {
    document.querySelector("main").classList.add("cards");
    byId("network-note").textContent = `What each unit looks at: its weights, to the right where positive, striped where negative.${some}`;
    if (view.kind === "images") byId("network-note").textContent = `What each unit looks for: its weights as an image, indigo where positive, red where negative. Below, its weights to the classes.${some}`;
    cards();
  }
}

function graph() {
  const svg = make("svg", { class: "edges", "aria-hidden": "true" });
  const columns = make("div", { class: "layers" }, svg);
  const nodes = [];
  for (let l = 0; l <= nHidden + 1; l++) {
    const list = make("ul");
    nodes.push(shownIn(l).map((unit) => (l === 0 ? inputNode(list, unit) : unitNode(list, l, unit))));
    if (l === 0 && view.others.length) heldInputs(list);
    columns.append(make("div", { class: "layer" }, make("h3", {}, l === 0 ? "Input" : layerName(l).replace(" layer", "")), list));
  }
  byId("graph").append(columns);
  const edges = edgesOf(svg, nodes);
  const place = () => {
    const most = Math.max(...nodes.map((column) => column.length)), width = columns.clientWidth;
    const unit = Math.min(74, Math.max(34, 430 / most - 8), width / (nHidden + 2) - 22);
    columns.style.setProperty("--unit", `${Math.max(26, unit)}px`);
    edges.place(columns.getBoundingClientRect());
  };
  new ResizeObserver(place).observe(columns);
  place();
  drawn.push((f, outcome, settled) => {
    const layers = layersAt(f), pictures = gridOf(f);
    for (let l = 1; l <= nHidden + 1; l++) {
      nodes[l].forEach(({ canvas, button, unit }, k) => {
        if (l > nHidden) paint(canvas, GRID, GRID, classPicture(pictures.at(-1), classOf(unit)));
        else paintUnit(canvas, pictures[l - 1][k]);
        button.setAttribute("aria-pressed", selected !== null && selected.l === l && selected.unit === unit);
        if (settled) button.setAttribute("aria-label", describe(layers, l, unit));
      });
    }
    edges.draw(layers);
    byId("readout").textContent = selected ? describe(layers, selected.l, selected.unit) : "Choose a unit to see it in large.";
  });
}

// An input sees its own column only.
function inputNode(list, column) {
  const canvas = make("canvas"), axis = view.columns.indexOf(column);
  const still = make("div", { class: "still" }, canvas);
  list.append(make("li", { class: "unit" }, still, make("span", { class: "name" }, R.features[column])));
  repaint.push(() =>
    paint(canvas, GRID, GRID, (i) => signed(1.5 * ((axis === 0 ? (i % GRID) / (GRID - 1) : 1 - Math.floor(i / GRID) / (GRID - 1)) - 0.5))),
  );
  return { still };
}

function heldInputs(list) {
  const names = view.others.map((j) => R.features[j]);
  list.append(make("li", { class: "unit held", title: names.join(", ") }, make("span", { class: "name" }, `and ${names.length} more, held`)));
}

function unitNode(list, l, unit) {
  const canvas = make("canvas", { "aria-hidden": "true" }), button = make("button", { type: "button" }, canvas);
  const isOutput = l > nHidden;
  const name = isOutput ? [iconOf(classOf(unit)), outputName(unit)] : [];
  const item = make("li", { class: "unit" }, button, ...(name.length ? [make("span", { class: "name" }, ...name)] : []));
  list.append(item);
  button.addEventListener("click", () => select(selected && selected.l === l && selected.unit === unit ? null : { l, unit }));
  return { canvas, button, unit, still: button };
}

function select(unit) {
  selected = unit;
  show(frame);
}

// How likely one class is, from paper to its colour.
function classPicture(p, c, full = 0.86) {
  return (i) => mix(colors.paper, colors.classes[c], 0.06 + (full - 0.06) * p[c][i]);
}

function edgesOf(svg, nodes) {
  // The widest line is the largest weight of the layer, at any time.
  const most = R.steps.map((_, l) => {
    let largestWeight = 1e-12;
    for (let f = 0; f < epochs.length; f++) {
      const layer = layersAt(f);
      for (const i of shownIn(l)) for (const k of shownIn(l + 1)) largestWeight = Math.max(largestWeight, Math.abs(edgeWeight(layer, l, i, k)));
    }
    return largestWeight;
  });
  const edges = R.steps.flatMap((_, l) =>
    shownIn(l).flatMap((i, from) =>
      shownIn(l + 1).map((k, to) => ({ l, i, k, from: nodes[l][from].still, to: nodes[l + 1][to].still, path: svg.appendChild(make("path")) })),
    ),
  );
  return {
    place(box) {
      for (const { from, to, path } of edges) {
        const a = from.getBoundingClientRect(), b = to.getBoundingClientRect();
        const [x0, y0] = [a.right - box.left, a.top + a.height / 2 - box.top];
        const [x1, y1] = [b.left - box.left, b.top + b.height / 2 - box.top];
        const bend = 0.45 * (x1 - x0);
        path.setAttribute("d", `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`);
      }
    },
    draw(layers) {
      for (const { l, i, k, path } of edges) {
        const w = edgeWeight(layers, l, i, k), share = Math.abs(w) / most[l];
        const aside = selected && !((selected.l === l + 1 && selected.unit === k) || (selected.l === l && selected.unit === i && l > 0));
        path.setAttribute("class", `${w < 0 ? "negative" : ""} ${aside ? "aside" : ""}`);
        path.setAttribute("stroke-width", (0.4 + 6.2 * share).toFixed(2));
        path.setAttribute("stroke-opacity", (0.25 + 0.6 * share).toFixed(2));
        path.setAttribute("stroke-dasharray", w < 0 ? "7 4" : "none");
      }
    },
  };
}

// ---------------------------------------------------------------- the network as cards

function cards() {
  for (let l = 1; l <= nHidden; l++) {
    const list = make("ul");
    const units = R.shown[l - 1].map((unit) => card(list, l, unit));
    byId("graph").append(make("section", { class: "cards-of" }, make("h3", {}, layerName(l)), list));
    drawn.push((f) => units.forEach((draw) => draw(layersAt(f))));
  }
  if (view.kind === "images") byId("graph").style.setProperty("--card", "104px");
  if (!nHidden) {
    const list = make("ul");
    const units = outputsShown.map((unit) => card(list, 1, unit));
    byId("graph").append(make("section", { class: "cards-of" }, make("h3", {}, "Outputs"), list));
    drawn.push((f) => units.forEach((draw) => draw(layersAt(f))));
  }
}

const lastLayers = layersAt(R.kept);

function card(list, l, unit) {
  const isImage = l === 1 && view.kind === "images";
  const item = make("li", { class: "card" }, make("h4", {}, make("span", {}, unitName(l, unit))));
  list.append(item);
  const parts = [isImage ? weightImage(item, unit) : incomingBars(item, l, unit)];
  if (l === nHidden) parts.push(outgoing(item, l, unit, isImage));
  return (layers) => parts.forEach((draw) => draw(layers));
}

// The largest weight of a layer, over all epochs: the scale of its bars and images.
const scales = R.steps.map((_, l) => {
  let most = 1e-12;
  const from = l === 0 ? [...R.inputs.keys()] : shownIn(l);
  for (let f = 0; f < epochs.length; f++) for (const i of from) for (const k of shownIn(l + 1)) most = Math.max(most, Math.abs(weight(layersAt(f)[l], i, k)));
  return most;
});

function weightImage(item, unit) {
  const [height, width] = view.shape, canvas = make("canvas", { role: "img" });
  canvas.setAttribute("aria-label", `Weights of unit ${unit}, pixel by pixel`);
  item.append(canvas);
  return (layers) => paint(canvas, width, height, (i) => signed((1.8 * weight(layers[0], i, unit)) / scales[0]));
}

function incomingBars(item, l, unit) {
  const names = l === 1 ? R.inputs : null;
  const from = names ? [...names.keys()] : shownIn(l - 1);
  const chosen = from.length > 6 ? [...from].sort((i, j) => Math.abs(weight(lastLayers[l - 1], j, unit)) - Math.abs(weight(lastLayers[l - 1], i, unit))).slice(0, 6) : from;
  const bars = chosen.map((i) => ({ i, ...barOf(item, [names ? names[i] : `unit ${i}`]) }));
  return (layers) => bars.forEach(({ i, set }) => set(weight(layers[l - 1], i, unit) / scales[l - 1]));
}

function barOf(parent, label) {
  const bar = make("b"), name = make("span", {}, ...label);
  name.title = name.textContent;
  parent.append(make("div", { class: "bar" }, name, make("i", {}, bar)));
  return {
    set(share) {
      bar.className = share < 0 ? "negative" : "";
      bar.style.width = `${50 * Math.abs(share)}%`;
    },
  };
}

function outgoing(item, l, unit, narrow) {
  const leads = item.appendChild(make("div", { class: "leads" })), layer = (layers) => layers[l];
  if (!narrow && nOutputs <= 4) {
    const bars = outputsShown.map((c) => barOf(leads, [iconOf(classOf(c)), outputName(c)]));
    return (layers) => bars.forEach(({ set }, c) => set(weight(layer(layers), unit, c) / scales[l]));
  }
  const columns = leads.appendChild(make("div", { class: "columns", "aria-hidden": "true" }));
  const bars = outputsShown.map((c) => {
    const bar = make("b");
    columns.append(make("div", { title: outputName(c) }, bar, make("span", {}, outputName(c).slice(0, 2))));
    return bar;
  });
  return (layers) =>
    bars.forEach((bar, c) => {
      const share = weight(layer(layers), unit, c) / scales[l];
      bar.className = share < 0 ? "negative" : "";
      bar.style.height = `${38 * Math.abs(share)}%`;
    });
}

// ---------------------------------------------------------------- what it decides: a plane

const SIDE = 430, PAD = { left: 54, right: 8, top: 8, bottom: 42 };
const INNER = SIDE - PAD.left - PAD.right, TALL = INNER;

function planePanel() {
  const canvas = make("canvas", { "aria-hidden": "true" });
  const svg = make("svg", { viewBox: `0 0 ${SIDE} ${TALL + PAD.top + PAD.bottom}`, role: "img" });
  const holder = make("div", { class: "plane" }, canvas, svg);
  byId("plot").append(holder);
  const share = (v, of) => `${(100 * v) / of}%`, height = TALL + PAD.top + PAD.bottom;
  Object.assign(canvas.style, { left: share(PAD.left, SIDE), top: share(PAD.top, height), width: share(INNER, SIDE), height: share(TALL, height) });
  const x = (v) => PAD.left + (INNER * (v - view.low[0])) / (view.high[0] - view.low[0]);
  const y = (v) => PAD.top + TALL * (1 - (v - view.low[1]) / (view.high[1] - view.low[1]));
  const [nameX, nameY] = view.columns.map((j) => R.features[j]);
  for (const v of ticksOf(view.low[0], view.high[0])) {
    svg.append(make("line", { class: "tick", x1: x(v), x2: x(v), y1: PAD.top + TALL, y2: PAD.top + TALL + 5 }), make("text", { x: x(v), y: PAD.top + TALL + 18, "text-anchor": "middle" }, decimal(v)));
  }
  for (const v of ticksOf(view.low[1], view.high[1])) {
    svg.append(make("line", { class: "tick", x1: PAD.left - 5, x2: PAD.left, y1: y(v), y2: y(v) }), make("text", { x: PAD.left - 8, y: y(v) + 4, "text-anchor": "end" }, decimal(v)));
  }
  const fit = (name) => (name.length > 46 ? `${name.slice(0, 45)}…` : name);
  svg.append(
    make("rect", { class: "frame", x: PAD.left, y: PAD.top, width: INNER, height: TALL }),
    make("text", { class: "label", x: PAD.left + INNER / 2, y: height - 5, "text-anchor": "middle" }, fit(nameX)),
    make("text", { class: "label", transform: `translate(14 ${PAD.top + TALL / 2}) rotate(-90)`, "text-anchor": "middle" }, fit(nameY)),
  );
  const lines = svg.appendChild(make("g", { transform: `translate(${PAD.left} ${PAD.top}) scale(${INNER / (GRID - 1)} ${TALL / (GRID - 1)})` }));
  const there = [...rows.keys()].filter((i) => view.columns.every((j) => rows[i][j] !== null));
  const dots = there.map((i) => ({ i, dot: svg.appendChild(dotAt(x(rows[i][view.columns[0]]), y(rows[i][view.columns[1]]))) }));
  const missing = there.length < rows.length ? ` ${plural(rows.length - there.length, "row")} with a gap in these columns ${rows.length - there.length === 1 ? "is" : "are"} not on it.` : "";
  const held = view.others.length ? ` ${view.others.map((j) => R.features[j]).slice(0, 6).join(", ")}${view.others.length > 6 ? " and others" : ""}: held at the median or the most frequent value for the plane; each row has its own.` : "";
  drawn.push((f, { answers, wrong, nWrong }, settled) => {
    const pictures = gridOf(f), chosen = selected ?? (R.multilabel ? { l: nHidden + 1, unit: 0 } : null);
    const p = pictures.at(-1);
    let paths = [];
    if (chosen && chosen.l <= nHidden) {
      const values = pictures[chosen.l - 1][R.shown[chosen.l - 1].indexOf(chosen.unit)];
      paintUnit(canvas, values);
      paths = [contour(values, R.activation === "logistic" ? 0.5 : 0)];
      byId("decision-title").textContent = `Where u${fullName(chosen.l, chosen.unit).slice(1)} is active`;
    } else if (chosen) {
      const c = classOf(chosen.unit);
      paint(canvas, GRID, GRID, classPicture(p, c, 0.45));
      paths = [contour(p[c], 0.5)];
      byId("decision-title").textContent = `Probability of ${classes[c]}`;
    } else {
      paint(canvas, GRID, GRID, (i) => blended(p.map((values) => values[i])));
      paths = boundaries(p);
      byId("decision-title").textContent = "What it decides";
    }
    lines.replaceChildren(...paths.map((d) => make("path", { class: "boundary", d, "vector-effect": "non-scaling-stroke" })));
    dots.forEach(({ i, dot }) => {
      if (!R.multilabel) {
        dot.setWrong(wrong[i]);
        dot.setClass(targets[i]);
      } else {
        const label = chosen.l > nHidden ? chosen.unit : 0;
        dot.setWrong(answers[i][label] !== targets[i][label]);
        dot.setClass(label, !targets[i][label]);
      }
    });
    byId("decision-note").textContent = `The line is where the answer changes${chosen && chosen.l <= nHidden ? " from off to on" : ""}. Rows that are wrong have a ring.${R.multilabel ? " Filled: rows that have the label." : ""}${missing}${held}`;
    if (settled) svg.setAttribute("aria-label", `The plane of ${nameX} (across) and ${nameY} (up), coloured by the likeliest class; ${plural(rows.length, "row")} on it, ${nWrong} of them wrong.`);
  });
}

// A row: the sign of its class, and a ring around it while its answer is wrong.
function dotAt(x, y, size = rows.length <= 12 ? 1.7 : rows.length > 200 ? 0.85 : 1) {
  const group = make("g", { transform: `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${size})` });
  let now = null;
  group.setWrong = (wrong) => group.setAttribute("class", wrong ? "wrong" : "");
  group.setClass = (c, hollow = false) => {
    if (now === `${c} ${hollow}`) return;
    now = `${c} ${hollow}`;
    const look = hollow ? { class: "dot hollow", style: `stroke: var(--class-${c % 8})` } : { class: "dot" };
    group.replaceChildren(make("circle", { class: "ring", r: 8.6 }), signOf(c, look));
  };
  return group;
}

// ---------------------------------------------------------------- what it decides: a lane a class

function lanesPanel() {
  const width = 390, left = 6, right = 6, label = 24, tall = Math.max(26, Math.min(96, 290 / classes.length));
  const step = tall + label, height = classes.length * step + 34, inner = width - left - right;
  const svg = make("svg", { class: "lanes", viewBox: `0 0 ${width} ${height}`, role: "img" });
  const x = (p) => left + 8 + (inner - 16) * p;
  classes.forEach((name, c) => {
    const top = c * step + label;
    const text = make("text", { class: "label", x: left + 17, y: top - 6 }, name.length > 50 ? `${name.slice(0, 49)}…` : name);
    const sign = make("g", { transform: `translate(${left + 6} ${top - 10}) scale(.95)` }, signOf(c));
    svg.append(sign, text, make("rect", { class: "lane", x: left, y: top, width: inner, height: tall, rx: 5 }));
  });
  const bottom = classes.length * step;
  for (const p of [0, 0.25, 0.5, 0.75, 1]) svg.append(make("text", { x: x(p), y: bottom + 17, "text-anchor": "middle" }, `${100 * p} %`));
  if (classes.length === 2 || R.multilabel) svg.append(make("line", { class: "half", x1: x(0.5), x2: x(0.5), y1: label, y2: bottom }));
  byId("plot").append(svg);
  // Rows keep a height of their own within their lane, which has no meaning.
  const dots = [];
  rows.forEach((_, i) => {
    for (const c of R.multilabel ? classes.keys() : [targets[i]]) {
      const y = c * step + label + tall * (0.16 + 0.68 * ((i * 0.618034) % 1));
      const dot = svg.appendChild(dotAt(0, y, rows.length > 150 ? 0.75 : 0.9));
      dot.setClass(c, R.multilabel && targets[i][c] === 0);
      dots.push({ dot, i, c, y });
    }
  });
  byId("decision-title").textContent = R.multilabel ? "Probability of each label" : "Probability of the right class";
  byId("decision-note").textContent = R.multilabel ? "A sign a row: filled if it has the label. Those that are wrong have a ring." : "A sign a row, in the lane of its class: the further to the right, the surer and right. Rows that are wrong have a ring.";
  drawn.push((f, { p, answers, wrong, nWrong }, settled) => {
    for (const { dot, i, c, y } of dots) {
      dot.setAttribute("transform", `translate(${x(p[i][c]).toFixed(1)} ${y.toFixed(1)}) scale(${rows.length > 150 ? 0.75 : 0.9})`);
      dot.setWrong(R.multilabel ? answers[i][c] !== targets[i][c] : wrong[i]);
    }
    if (settled) svg.setAttribute("aria-label", `${plural(rows.length, "row")} by the probability that each is given of its own class; ${nWrong} are wrong.`);
  });
  if (view.kind === "images") rowImages();
}

function rowImages() {
  const [height, width] = view.shape, list = make("ul", { class: "images" });
  let most = 1e-12, least = Infinity;
  for (const row of rows) for (const v of row) [most, least] = [Math.max(most, v), Math.min(least, v)];
  const items = view.rows.map((i) => {
    const canvas = make("canvas", { "aria-hidden": "true" }), text = make("span");
    const item = list.appendChild(make("li", {}, canvas, text));
    repaint.push(() => paint(canvas, width, height, (at) => mix(colors.paper, colors.ink, (rows[i][at] - least) / (most - least || 1))));
    return { i, item, text };
  });
  byId("rows").hidden = false;
  byId("images").append(list);
  const say = (answer) => (R.multilabel ? classes.filter((_, c) => answer[c]).join(", ") || "none" : classes[answer]);
  drawn.push((f, { answers, wrong }) => {
    for (const { i, item, text } of items) {
      item.className = wrong[i] ? "wrong" : "";
      text.textContent = `${wrong[i] ? "✗ " : ""}${say(answers[i])}`;
      item.title = `${say(targets[i])}, taken for ${say(answers[i])}`;
    }
  });
}

// ---------------------------------------------------------------- the side

function scorePanel() {
  const items = classes.map((name, c) => {
    const count = make("span"), text = make("span", { title: name }, name);
    byId("classes").append(make("li", {}, iconOf(c), text, count));
    const members = [...rows.keys()].filter((i) => (R.multilabel ? targets[i][c] : targets[i] === c));
    return { c, count, members };
  });
  byId("score-note").textContent = rows.length < R.n_learnt ? `${rows.length} of the ${R.n_learnt.toLocaleString("en")} rows that it learns from.` : "The rows that it learns from.";
  drawn.push((f, { answers, wrong, nWrong }) => {
    const right = rows.length - nWrong;
    const parts = nWrong ? [make("small", {}, " right, "), make("span", { class: "wrong" }, String(nWrong)), make("small", {}, " wrong")] : [make("small", {}, " right")];
    byId("counts").replaceChildren(nWrong ? String(right) : `All ${right}`, ...parts);
    byId("share").style.width = `${(100 * right) / rows.length}%`;
    for (const { c, count, members } of items) {
      const good = members.filter((i) => (R.multilabel ? answers[i][c] === targets[i][c] : !wrong[i])).length;
      count.textContent = `${good} of ${members.length}`;
    }
  });
}

function truthPanel() {
  if (!R.truth_table || R.multilabel) return;
  byId("truth").hidden = false;
  const shown = classOf(0);
  const answer = nOutputs === 1 ? `p(${classes[1]})` : "p(right)";
  const head = [...R.features, "wanted", answer, ""].map((name) => make("th", { scope: "col", title: name || null }, name));
  const body = make("tbody");
  const lines = R.truth_table.map((i) => {
    const bar = make("i"), number = make("span"), mark = make("td", { class: "mark" });
    const line = make("tr", {}, ...rows[i].map((v) => make("td", {}, v === null ? "–" : decimal(v))), make("td", {}, iconOf(targets[i]), classes[targets[i]]), make("td", {}, make("span", { class: "p" }, bar), number), mark);
    body.append(line);
    return { i, bar, number, mark, line };
  });
  byId("table").append(make("table", {}, make("thead", {}, make("tr", {}, ...head)), body));
  drawn.push((f, { p, wrong }) => {
    for (const { i, bar, number, mark, line } of lines) {
      const value = p[i][nOutputs === 1 ? shown : targets[i]];
      bar.style.width = `${100 * value}%`;
      number.textContent = value.toFixed(3);
      mark.textContent = wrong[i] ? "✗" : "✓";
      mark.setAttribute("aria-label", wrong[i] ? "wrong" : "right");
      line.className = wrong[i] ? "wrong" : "";
    }
  });
}

function lossPanel() {
  const { training, validation, epochs: at, name } = R.loss;
  byId("curve-title").textContent = name[0].toUpperCase() + name.slice(1);
  if (!at.length) return;
  const width = 320, height = 206, left = 44, right = 14, top = 8, bottom = 42;
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  byId("loss").append(svg);
  const all = [...training, ...(validation ?? [])], low = Math.min(...all), high = Math.max(...all);
  const log = low > 0 && high > 30 * low, scale = log ? Math.log10 : (v) => v;
  const [bottomValue, topValue] = log ? [scale(low), scale(high)] : [Math.min(0, low), high];
  const span = topValue - bottomValue || 1, last = Math.max(at.at(-1), epochs.at(-1), 1);
  const x = (epoch) => left + ((width - left - right) * epoch) / last;
  const y = (v) => top + (height - top - bottom) * (1 - (scale(v) - bottomValue) / span);
  let marks = log ? powersOf(low, high) : ticksOf(bottomValue, topValue).map((v) => [v, decimal(v)]);
  if (marks.length < 2) marks = [low, high].map((v) => [v, short(v)]);
  for (const [v, text] of marks) {
    svg.append(make("line", { class: "tick", x1: left, x2: width - right, y1: y(v), y2: y(v) }), make("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, text));
  }
  for (const e of ticksOf(0, last, 4).filter(Number.isInteger)) svg.append(make("text", { x: x(e), y: height - 25, "text-anchor": "middle" }, e.toLocaleString("en")));
  svg.append(make("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, "epoch"));
  const line = (values) => "M" + values.map((v, i) => `${x(at[i]).toFixed(1)} ${y(v).toFixed(1)}`).join("L");
  svg.append(make("path", { class: "curve", d: line(training) }));
  if (validation) svg.append(make("path", { class: "curve validation", d: line(validation) }));
  if (R.kept < epochs.length - 1) svg.append(make("line", { class: "keptmark", x1: x(epochs[R.kept]), x2: x(epochs[R.kept]), y1: top, y2: height - bottom }));
  const now = svg.appendChild(make("line", { class: "now", y1: top, y2: height - bottom }));
  const curves = [training, validation].filter(Boolean);
  const dots = curves.map((_, i) => svg.appendChild(make("circle", { class: `now-dot ${i ? "validation" : ""}`, r: 5 })));
  const nearest = (epoch, among) => among.reduce((best, e, i) => (Math.abs(e - epoch) < Math.abs(among[best] - epoch) ? i : best), 0);
  const seek = (event) => {
    const box = svg.getBoundingClientRect();
    pause();
    show(nearest((((event.clientX - box.left) * width) / box.width - left) / (width - left - right) * last, epochs));
  };
  svg.addEventListener("pointerdown", (event) => { svg.setPointerCapture(event.pointerId); seek(event); });
  svg.addEventListener("pointermove", (event) => { if (event.buttons) seek(event); });
  const notes = validation ? ["Solid: on the rows that it learns from. Dashed: on validation rows."] : [];
  if (R.kept < epochs.length - 1) notes.push(`Dotted: epoch ${epochs[R.kept]}, whose parameters were kept.`);
  byId("loss-note").textContent = notes.join(" ");
  drawn.push((f, outcome, settled) => {
    const epoch = epochs[f], point = nearest(epoch, at);
    now.setAttribute("x1", x(epoch));
    now.setAttribute("x2", x(epoch));
    dots.forEach((dot, i) => {
      dot.setAttribute("cx", x(at[point]));
      dot.setAttribute("cy", y(curves[i][point]));
      dot.setAttribute("visibility", epoch ? "visible" : "hidden");
    });
    if (settled) svg.setAttribute("aria-label", `${name} from ${short(training[0])} in epoch ${at[0]} to ${short(training.at(-1))} in epoch ${at.at(-1)}${epoch ? `; ${short(training[point])} in epoch ${epoch}` : ""}.`);
  });
}
