// The data of the page, the selection, and how both are put into words.

let header = null;
const blocks = [];  // one per optimizer, with decoded arrays

function decodeBlock(source, read) {
  const arrays = {};
  for (const [name, value] of Object.entries(source)) arrays[name] = value && value.dtype ? read(value) : value;
  const [, entries, coordinates] = source.positions.shape;
  return {
    firstTrial: 0, ...arrays, entries, coordinates,
    shape: source.axes.map((axis) => axis.values.length),
    rows: source.positions.shape[0],
    points: source.points || source.finalPoint.shape[1],
  };
}
function load(newHeader, read) {
  header = newHeader;
  for (const name of ["shades", "curves"]) {
    if (header[name] && header[name].dtype) header[name] = { shape: header[name].shape, values: read(header[name]) };
  }
  blocks.splice(0, blocks.length, ...header.blocks.map((source) => decodeBlock(source, read)));
}

// ---- trajectories: one row per recorded trial, quantised to 16 bits ---------------------------------------------

const QUANTA = 32767;
const rowOf = (own, trial) => trial - own.firstTrial;
const place = (own, trial, entry, coordinate) => (rowOf(own, trial) * own.entries + entry) * own.coordinates + coordinate;
const position = (own, trial, entry, coordinate) => {
  const [low, high] = header.position;
  const share = (own.positions[place(own, trial, entry, coordinate)] + QUANTA) / (2 * QUANTA);
  return low[coordinate] + share * (high[coordinate] - low[coordinate]);
};
const scaled = (own, values, scales, trial, entry, coordinate) =>
  (values[place(own, trial, entry, coordinate)] / QUANTA) * scales[rowOf(own, trial) * own.coordinates + coordinate];
const velocity = (own, ...where) => scaled(own, own.velocities, own.velocityScale, ...where);
const gradient = (own, ...where) => scaled(own, own.gradients, own.gradientScale, ...where);
const logLoss = (own, trial, entry) => {
  const [low, high] = header.logLoss, share = (own.heights[rowOf(own, trial) * own.entries + entry] + QUANTA) / (2 * QUANTA);
  return low + share * (high - low);
};
const lastEntry = (own, trial) => Math.min(own.entries - 1, Math.ceil(own.iterations[trial] / header.stride));
const iterationOf = (own, trial, entry) => Math.min(entry * header.stride, own.iterations[trial]);

// ---- the selection ----------------------------------------------------------------------------------------------

const quantities = {
  finalLoss: "final loss", iterations: "iterations", measuredRate: "measured rate", predictedRate: "predicted rate",
};
const state = { block: 0, index: [], start: 0, entry: Infinity, quantity: "finalLoss", x: 0, y: 1, pins: { a: null, b: null } };
let drawn = null;  // the last selection whose trajectory is known

const cellOf = (own, index) => index.reduce((sum, i, axis) => sum * own.shape[axis] + i, 0);
function trialOf({ block, index, start }, replicate = 0) {
  const own = blocks[block];
  return (cellOf(own, index) * own.starts.length + start) * own.replicates + replicate;
}
// The replicate with the median final loss stands for a setting.
function mainTrial(selection) {
  const own = blocks[selection.block], first = trialOf(selection);
  if (own.replicates === 1) return first;
  const loss = (r) => (Number.isFinite(own.finalLoss[first + r]) ? own.finalLoss[first + r] : Infinity);
  const order = Array.from({ length: own.replicates }, (_, r) => r).sort((r, s) => loss(r) - loss(s));
  return first + order[Math.floor((own.replicates - 1) / 2)];
}
const selected = () => ({ block: state.block, index: [...state.index], start: state.start });
const isRecorded = (selection) => {
  const own = blocks[selection.block], row = rowOf(own, trialOf(selection));
  return row >= 0 && row < own.rows;
};
// The selection that is drawn: a live page waits for the trajectory of a new one.
function current() {
  if (drawn === null || isRecorded(selected())) drawn = selected();
  return drawn;
}
function select(block) {
  Object.assign(state, { block, index: [...blocks[block].current], start: 0 });
  drawn = null;
}
function settleMapAxes() {
  const count = blocks[state.block].axes.length;
  if (state.x >= count) state.x = 0;
  if (state.y >= count || state.y === state.x) state.y = count > 1 && state.x === 0 ? 1 : 0;
}

// ---- the selection in the address -------------------------------------------------------------------------------

const encode = ({ block, index, start }) => [block, start, ...index].join(".");
function decode(text) {
  const [block, start, ...index] = text.split(".").map(Number), own = blocks[block];
  const isValid = own && index.length === own.axes.length && own.starts[start] !== undefined &&
    index.every((i, axis) => own.axes[axis].values[i] !== undefined);
  return isValid ? { block, index, start } : null;
}
function hashParts() {
  const parts = new URLSearchParams({ s: encode(selected()), q: state.quantity, x: state.x, y: state.y });
  if (Number.isFinite(state.entry)) parts.set("k", state.entry);
  for (const pin of ["a", "b"]) if (state.pins[pin]) parts.set(pin, encode(state.pins[pin]));
  return parts;
}
let writeHash = (parts) => {
  try { history.replaceState(null, "", `#${parts}`); } catch { /* a sandboxed frame has no history */ }
};
function readHash() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const natural = (name) => (/^\d{1,9}$/.test(parts.get(name)) ? Number(parts.get(name)) : null);
  Object.assign(state, decode(parts.get("s") || ""));
  for (const pin of ["a", "b"]) state.pins[pin] = decode(parts.get(pin) || "");
  state.entry = natural("k") ?? Infinity;
  if (parts.get("q") in quantities) state.quantity = parts.get("q");
  state.x = natural("x") ?? state.x;
  state.y = natural("y") ?? state.y;
}

// ---- words ------------------------------------------------------------------------------------------------------

const short = (value, digits = 4) => {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(digits - 1) : value.toPrecision(digits);
  return text.includes(".") ? text.replace(/\.?0+(e|$)/, "$1") : text;
};
function describe(selection) {
  const own = blocks[selection.block];
  const values = own.axes.map((axis, i) => `${axis.label} = ${axis.values[selection.index[i]]}`);
  const start = own.starts.length > 1 ? [`start (${own.starts[selection.start]})`] : [];
  return [own.name, ...values, ...start].join(", ");
}
function outcome(selection) {
  const own = blocks[selection.block], trial = mainTrial(selection);
  const point = Array.from(own.finalPoint.slice(trial * own.points, (trial + 1) * own.points), (x) => short(x));
  const status = header.statuses[own.status[trial]];
  return {
    status: status === "max_iterations" ? "stopped" : status,
    iterations: own.iterations[trial],
    loss: own.finalLoss[trial],
    point: `(${point.join(", ")}${header.dimension > own.points ? ", …" : ""})`,
    measured: own.measuredRate[rowOf(own, trial)],
    predicted: own.predictedRate ? own.predictedRate[cellOf(own, selection.index)] : NaN,
  };
}
// Describe the motion along each eigenvector by its dominant eigenvalue.
function theoryText(selection) {
  const own = blocks[selection.block];
  if (!own.predictedRate) return own.noTheory ? `Theory does not apply: ${own.noTheory}.` : "";
  const cell = cellOf(own, selection.index), settings = own.predictedRate.length;
  const parts = own.curvatures.map((curvature, i) => {
    const modulus = own.modulus[i * settings + cell], angle = own.angle[i * settings + cell];
    const motion = modulus > 1 ? "diverges"
      : Math.PI - angle < 1e-4 ? "alternates in sign"
      : angle > 1e-4 ? `oscillates with period ${short((2 * Math.PI) / angle, 3)} (underdamped)` : "monotonic";
    return `Curvature ${curvature}: rate ${short(modulus)}, ${motion}.`;
  });
  return `Predicted rate ${short(own.predictedRate[cell])}. ${parts.join(" ")}`;
}
function command(selection) {
  const own = blocks[selection.block];
  if (!own.startOptions) return "The start has too many coordinates to be typed in a command.";
  const flags = own.axes.map((axis, i) => {
    const value = axis.values[selection.index[i]];
    return axis.flag + (/^[\w.+-]+$/.test(value) ? value : `'${value}'`);
  });
  return [own.command, ...flags, own.startOptions[selection.start]].filter(Boolean).join(" ");
}
