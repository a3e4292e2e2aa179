// ---------------------------------------------------------------- the player

const slider = byId("slider");
const repaint = []; // what depends on the colours alone
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");
let frame = R.kept, playing = null;

const ICONS = {
  play: "M7 4.5v15l12.5-7.5z",
  pause: "M6 4.5h4.2v15H6zM13.8 4.5H18v15h-4.2z",
  back: "M17.5 5v14L8 12zM5.5 5h2.2v14H5.5z",
  ahead: "M6.5 5v14L16 12zM16.3 5h2.2v14h-2.2z",
};
const icon = (name) => make("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, make("path", { d: ICONS[name] }));

// Show frame f. While it plays, texts for screen readers wait.
function show(f) {
  frame = Math.max(0, Math.min(epochs.length - 1, f));
  const outcome = outcomeAt(frame), settled = playing === null;
  for (const draw of drawn) draw(frame, outcome, settled);
  const epoch = epochs[frame], last = epochs.at(-1);
  const where = epoch === 0 ? "before the first epoch" : `epoch ${epoch.toLocaleString("en")} of ${last.toLocaleString("en")}`;
  const said = `${where}: ${rows.length - outcome.nWrong} of ${rows.length} right`;
  slider.value = frame;
  slider.setAttribute("aria-valuetext", said);
  const kept = frame === R.kept && R.kept < epochs.length - 1 ? ", which was kept" : "";
  byId("where").replaceChildren(make("b", {}, where[0].toUpperCase() + where.slice(1)), kept);
  if (settled) byId("status").textContent = said;
}

function play() {
  if (frame === epochs.length - 1) frame = -1;
  const perSecond = () => (calm.matches ? 2 : Math.max(4, epochs.length / 12)) * Number(byId("speed").value);
  let before = performance.now();
  const tick = (now) => {
    const steps = Math.floor(((now - before) * perSecond()) / 1000);
    if (steps > 0) {
      before = now;
      show(frame + Math.min(steps, 4));
    }
    if (frame >= epochs.length - 1) pause();
    else playing = requestAnimationFrame(tick);
  };
  playing = requestAnimationFrame(tick);
  show(frame + 1);
  buttonSays("Pause", "pause");
}

function pause() {
  if (playing === null) return;
  cancelAnimationFrame(playing);
  playing = null;
  buttonSays("Play", "play");
  show(frame);
}

function buttonSays(label, name) {
  byId("play").setAttribute("aria-label", label);
  byId("play").replaceChildren(icon(name));
}

const step = (by) => { pause(); show(frame + by); };
const toggle = () => (playing === null ? play() : pause());

function changeSpeed(by) {
  const select = byId("speed");
  select.selectedIndex = Math.max(0, Math.min(select.options.length - 1, select.selectedIndex + by));
}

const KEYS = {
  " ": toggle, ArrowLeft: () => step(-1), ArrowRight: () => step(1), Home: () => step(-epochs.length),
  End: () => step(epochs.length), "+": () => changeSpeed(1), "-": () => changeSpeed(-1), Escape: () => select(null),
};

document.addEventListener("keydown", (event) => {
  const takesKeys = event.target.closest?.("select, button") && [" ", "Enter"].includes(event.key);
  if (event.ctrlKey || event.metaKey || event.altKey || takesKeys || !(event.key in KEYS)) return;
  if (event.target.closest?.("select")) return;
  event.preventDefault();
  KEYS[event.key]();
});

// ---------------------------------------------------------------- all together

function recolor() {
  readColors();
  for (const draw of repaint) draw();
  show(frame);
}

byId("about").textContent = [
  `${plural(R.n_learnt, "row")}, ${plural(R.features.length, "column")}`,
  `layers of ${R.sizes.join(", ")}`,
  `${nHidden ? `${R.activation} units` : "no hidden units"}, ${R.output === "softmax" ? "a softmax" : `${nOutputs === 1 ? "a " : ""}logistic output${nOutputs === 1 ? "" : "s"}`}`,
  plural(epochs.at(-1), "epoch"),
].join(" · ");
slider.max = epochs.length - 1;
buttonSays("Play", "play");
byId("back").append(icon("back"));
byId("ahead").append(icon("ahead"));
networkPanel();
if (isPlane) planePanel();
else lanesPanel();
scorePanel();
truthPanel();
lossPanel();
recolor();
byId("play").addEventListener("click", toggle);
byId("back").addEventListener("click", () => step(-1));
byId("ahead").addEventListener("click", () => step(1));
slider.addEventListener("input", () => { pause(); show(Number(slider.value)); });
dark.addEventListener("change", recolor);

// For the console: the recording, and the probabilities of its rows after the epochs of a frame.
window.learning = { recording: R, probabilities: (f) => outcomeAt(f).p.map((values) => [...values]) };
