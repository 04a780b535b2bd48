// Trajectory, velocity and loss on canvases.

let colors = {};
function readColors() {
  const styles = getComputedStyle(document.documentElement);
  for (const name of ["ink", "quiet", "paper", "line", "ground-low", "ground-high", "contour", "own", "a", "b",
    "gradient", "memory", "theory"]) colors[name] = styles.getPropertyValue(`--${name}`).trim();
}
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

// ---- panels -----------------------------------------------------------------------------------------------------

// Prepare a canvas in CSS pixels and return its context with the frame of the plot.
function frame(id, margin = 16) {
  const canvas = element(id), ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  return { context, left: 58, top: 8, right: width - margin, bottom: height - 36 };
}
function scales({ left, right, top, bottom }, [xLow, xHigh], [yLow, yHigh]) {
  return {
    x: (value) => left + ((value - xLow) / (xHigh - xLow || 1)) * (right - left),
    y: (value) => bottom - ((value - yLow) / (yHigh - yLow || 1)) * (bottom - top),
  };
}
function niceTicks(low, high, count) {
  const span = high - low || 1, raw = span / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => span / s <= count) || span;
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * span; i++) ticks.push({ at: i * step, text: short(i * step) });
  return ticks;
}
// Ticks at powers of ten, or at fractions of them, of an axis of logarithms.
function logTicks(low, high) {
  const span = high - low, multiples = span > 4 ? [1] : span > 1.5 ? [1, 3] : [1, 2, 5], every = Math.ceil(span / 6);
  const ticks = [];
  for (let power = Math.floor(low / every) * every; power <= high; power += every) {
    for (const m of multiples) ticks.push({ at: power + Math.log10(m), text: short(m * 10 ** power, 3) });
  }
  const inside = ticks.filter(({ at }) => at >= low && at <= high);
  if (inside.length > 1 || span > 1) return inside;
  return niceTicks(10 ** low, 10 ** high, 5).map(({ at, text }) => ({ at: Math.log10(at), text }));
}
// Draw a frame with ticks and the names of both axes.
function drawAxes(panel, { x, y }, xTicks, yTicks, xName, yName) {
  const { context, left, right, top, bottom } = panel;
  context.strokeStyle = colors.line; context.fillStyle = colors.ink; context.lineWidth = 1;
  context.strokeRect(left, top, right - left, bottom - top);
  context.textAlign = "center"; context.textBaseline = "top";
  for (const { at, text } of xTicks) context.fillText(text, x(at), bottom + 4);
  context.textAlign = "right"; context.textBaseline = "middle";
  for (const { at, text } of yTicks) context.fillText(text, left - 4, y(at), left - 14);
  context.fillStyle = colors.quiet; context.textAlign = "center"; context.textBaseline = "top";
  context.fillText(xName, (left + right) / 2, bottom + 20, right - left);
  context.save(); context.translate(9, (top + bottom) / 2); context.rotate(-Math.PI / 2);
  context.textBaseline = "middle"; context.fillText(yName, 0, 0, bottom - top);
  context.restore();
}
function clipped({ context, left, right, top, bottom }, draw) {
  context.save(); context.beginPath(); context.rect(left, top, right - left, bottom - top); context.clip();
  draw(); context.restore();
}
function legend(id, entries) {
  element(id).replaceChildren(...entries.flatMap(([color, text, symbol = "━"], i) => {
    const mark = document.createElement("b"), words = document.createElement("span");
    mark.className = `c-${color}`; mark.textContent = `${symbol} `;
    words.textContent = text + (i + 1 < entries.length ? "   " : "");
    return [mark, words];
  }));
}

// ---- curves -----------------------------------------------------------------------------------------------------

// The pinned settings and the selected one.
function curves() {
  const pinned = [["a", "A", [7, 4]], ["b", "B", [2, 3]]].filter(([pin]) => state.pins[pin])
    .map(([pin, name, dash]) => ({ selection: state.pins[pin], color: pin, dash, name }));
  return [...pinned, { selection: current(), color: "own", dash: [], name: "selected" }];
}
// Call draw for every replicate of every curve, the median one last.
function eachCurve(draw) {
  for (const curve of curves()) {
    const own = blocks[curve.selection.block], first = trialOf(curve.selection), main = mainTrial(curve.selection);
    for (let trial = first; trial < first + own.replicates; trial++) if (trial !== main) draw(own, trial, curve, false);
    draw(own, main, curve, true);
  }
}
function strokeCurve(context, { color, dash, width = 1.8 }, isMain, count, at) {
  context.globalAlpha = isMain ? 1 : 0.25; context.strokeStyle = colors[color];
  context.lineWidth = isMain ? width : 1; context.setLineDash(dash);
  context.beginPath();
  for (let entry = 0; entry < count; entry++) context.lineTo(...at(entry));
  context.stroke();
  context.globalAlpha = 1; context.setLineDash([]);
}

// ---- the trajectory ---------------------------------------------------------------------------------------------

// The number of the surface of a selection, if the surface has parameters with several values.
function surfaceNumber({ block, index }) {
  return blocks[block].axes.map((axis, i) => (axis.name.startsWith("surface.") ? index[i] : null))
    .filter((i) => i !== null).reduce((sum, i, axis) => sum * header.surfaceShape[axis] + i, 0);
}

const ground = { key: null, canvas: null };
function groundImage(number) {
  const { shape: [, rows, columns], values } = header.shades;
  if (ground.values === values && ground.key === `${number} ${colors["ground-low"]}`) return ground.canvas;
  const low = rgb(colors["ground-low"]), high = rgb(colors["ground-high"]), line = rgb(colors.contour);
  // Enlarge four times with interpolation, so that contour lines are smooth.
  const zoom = 4, width = (columns - 1) * zoom + 1, height = (rows - 1) * zoom + 1, bands = 14;
  const at = (r, c) => values[(number * rows + r) * columns + c];
  const bandOf = new Int16Array(width * height);
  for (let j = 0; j < height; j++) {
    const r = Math.min(Math.floor(j / zoom), rows - 2), v = j / zoom - r;
    for (let i = 0; i < width; i++) {
      const c = Math.min(Math.floor(i / zoom), columns - 2), u = i / zoom - c;
      const corners = [at(r, c), at(r, c + 1), at(r + 1, c), at(r + 1, c + 1)];
      const shade = (corners[0] * (1 - u) + corners[1] * u) * (1 - v) + (corners[2] * (1 - u) + corners[3] * u) * v;
      bandOf[j * width + i] = corners.includes(-32768) ? -1 : Math.min(Math.floor((shade / 30000) * bands), bands - 1);
    }
  }
  // A pixel belongs to a contour line if the next one, or the one above, is in another band.
  const image = new ImageData(width, height);
  for (let j = 0; j < height; j++) {
    for (let i = 0; i < width; i++) {
      const k = j * width + i, band = bandOf[k], pixel = 4 * ((height - 1 - j) * width + i);
      const isLine = (i + 1 < width && bandOf[k + 1] !== band) || (j + 1 < height && bandOf[k + width] !== band);
      const share = band / (bands - 1);
      for (let c = 0; c < 3; c++) image.data[pixel + c] = isLine ? line[c] : low[c] + share * (high[c] - low[c]);
      image.data[pixel + 3] = band < 0 ? 0 : 255;
    }
  }
  const canvas = document.createElement("canvas");
  canvas.width = width; canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
  Object.assign(ground, { values, key: `${number} ${colors["ground-low"]}`, canvas });
  return canvas;
}

const symbolOf = ({ kind }) => (/minimum|lowest/.test(kind) ? ["★", "minimum"] : kind === "saddle" ? ["×", "saddle"] : ["▲", "maximum"]);

let pathScales = null;  // for dragging on a live page
function drawPath() {
  const panel = frame("path"), { context } = panel, isCurve = header.dimension === 1;
  const number = surfaceNumber(current());
  let yRange = header.window[1], curve = null;
  if (isCurve) {
    const count = header.curves.shape[1];
    curve = header.curves.values.slice(number * count, (number + 1) * count);
    const finite = Array.from(curve).filter(Number.isFinite), low = Math.min(...finite), high = Math.max(...finite);
    yRange = [low - 0.08 * (high - low), high + 0.05 * (high - low)];
  } else {
    context.drawImage(groundImage(number), panel.left, panel.top, panel.right - panel.left, panel.bottom - panel.top);
  }
  const { x, y } = scales(panel, header.window[0], yRange);
  pathScales = { panel, xRange: header.window[0], yRange };
  drawAxes(panel, { x, y }, niceTicks(...header.window[0], 6), niceTicks(...yRange, 5), ...header.names);
  const height = (own, trial, entry) => (isCurve
    ? header.lossFloor + 10 ** logLoss(own, trial, entry) : position(own, trial, entry, 1));
  const at = (own, trial, entry) => [x(position(own, trial, entry, 0)), y(height(own, trial, entry))];
  clipped(panel, () => {
    if (curve) {
      const [low, high] = header.window[0];
      context.strokeStyle = colors.quiet; context.lineWidth = 1.5; context.beginPath();
      curve.forEach((value, i) => context.lineTo(x(low + ((high - low) * i) / (curve.length - 1)), y(value)));
      context.stroke();
    }
    context.fillStyle = colors.ink; context.textAlign = "center"; context.textBaseline = "middle";
    for (const point of header.points) {
      context.fillText(symbolOf(point)[0], x(point.at[0]), y(isCurve ? point.loss : point.at[1]));
    }
    eachCurve((own, trial, one, isMain) => {
      const last = Math.min(state.entry, lastEntry(own, trial));
      strokeCurve(context, one, isMain, last + 1, (entry) => at(own, trial, entry));
      context.fillStyle = colors[one.color];
      for (let entry = 0; isMain && entry <= last; entry++) {
        context.beginPath(); context.arc(...at(own, trial, entry), entry === last ? 4.5 : 1.8, 0, 7); context.fill();
      }
    });
    const trial = mainTrial(current()), own = blocks[current().block];
    context.strokeStyle = colors.ink; context.lineWidth = 1.5;
    context.beginPath(); context.arc(...at(own, trial, 0), 6, 0, 7); context.stroke();  // the start
    drawVectors(context, x, y, at(own, trial, Math.min(state.entry, lastEntry(own, trial))));
  });
}

// Draw the next step and its two parts: the step along the exact gradient, and what the optimizer adds to it.
function drawVectors(context, x, y, [startX, startY]) {
  const { block, index } = current(), own = blocks[block], trial = mainTrial(current()), isCurve = header.dimension === 1;
  const axis = own.axes.findIndex(({ name }) => name === "lr");
  const lr = axis < 0 ? Number(own.lr) : Number(own.axes[axis].values[index[axis]]);
  const symbols = new Map([["○", "start"], ...header.points.map(symbolOf)]);
  const marks = Array.from(symbols, ([symbol, name]) => ["ink", name, symbol]);
  if (header.stride > 1 || !Number.isFinite(lr)) { legend("path-legend", marks); return; }
  if (state.entry >= lastEntry(own, trial)) {
    legend("path-legend", [...marks, ["quiet", "choose an earlier iteration to see the parts of its step", "→"]]);
    return;
  }
  const pixels = (values, entry) => {
    const [dx, dy] = [0, 1].map((c) => (c < own.coordinates ? -lr * values(own, trial, entry, c) : 0));
    return [x(dx) - x(0), isCurve ? 0 : y(dy) - y(0)];
  };
  const slope = pixels(gradient, state.entry), step = pixels(velocity, state.entry + 1);
  const memory = [step[0] - slope[0], step[1] - slope[1]];
  // Short vectors are enlarged, or the last part of a trajectory would have none that can be seen.
  const longest = Math.max(...[slope, memory, step].map((vector) => Math.hypot(...vector)));
  const power = 10 ** Math.floor(Math.log10(60 / longest)), zoom = longest > 30 || !(longest > 1e-9) ? 1
    : [5, 2, 1].map((m) => m * power).find((m) => m * longest <= 60);
  const arrow = (from, [dx, dy], color) => {
    const length = Math.hypot(dx, dy) * zoom, to = [from[0] + zoom * dx, from[1] + zoom * dy];
    if (!(length > 1)) return;
    const [ux, uy] = [(dx * zoom) / length, (dy * zoom) / length], head = Math.min(9, length / 2);
    context.strokeStyle = context.fillStyle = colors[color]; context.lineWidth = 2.2;
    context.beginPath(); context.moveTo(...from); context.lineTo(...to); context.stroke();
    context.beginPath(); context.moveTo(...to);
    context.lineTo(to[0] - head * ux + 0.5 * head * uy, to[1] - head * uy - 0.5 * head * ux);
    context.lineTo(to[0] - head * ux - 0.5 * head * uy, to[1] - head * uy + 0.5 * head * ux); context.fill();
  };
  // In one dimension all three are horizontal, so they are drawn above each other.
  const lift = isCurve ? 8 : 0;
  arrow([startX, startY - lift], slope, "gradient");
  arrow([startX + zoom * slope[0], startY - lift + zoom * slope[1]], memory, "memory");
  arrow([startX, startY - 2 * lift], step, "own");
  legend("path-legend", [...marks, ["gradient", "gradient step"], ["memory", "momentum"],
    ["own", `their sum, the next step${zoom === 1 ? "" : ` (all enlarged ${short(zoom)} ×)`}`]]);
}

// ---- velocity and loss ------------------------------------------------------------------------------------------

// Whether an entry counts for the scale: that of a diverging trial would hide all others.
const isBounded = (own, trial, entry) => logLoss(own, trial, entry) <= logLoss(own, trial, 0) + 3;
const longest = () => Math.max(1, ...curves().map(({ selection }) => blocks[selection.block].iterations[mainTrial(selection)]));

function drawVelocity() {
  const panel = frame("velocity"), { context } = panel;
  let low = 0, high = 0;
  eachCurve((own, trial, one, isMain) => {
    for (let entry = 0; isMain && entry <= lastEntry(own, trial); entry++) {
      for (let c = 0; c < own.coordinates && isBounded(own, trial, entry); c++) {
        const value = velocity(own, trial, entry, c);
        low = Math.min(low, value); high = Math.max(high, value);
      }
    }
  });
  const margin = 0.05 * (high - low) || 1, range = [low - margin, high + margin];
  const { x, y } = scales(panel, [0, longest()], range);
  drawAxes(panel, { x, y }, niceTicks(0, longest(), 6), niceTicks(...range, 5), "iteration", "velocity");
  clipped(panel, () => {
    context.strokeStyle = colors.line; context.beginPath();
    context.moveTo(panel.left, y(0)); context.lineTo(panel.right, y(0)); context.stroke();
    eachCurve((own, trial, one, isMain) => {
      for (let c = 0; c < own.coordinates; c++) {
        const style = c === 0 ? one : { color: one.color, dash: [2, 2, ...one.dash], width: 1.2 };
        strokeCurve(context, style, isMain, lastEntry(own, trial) + 1, (entry) =>
          [x(iterationOf(own, trial, entry)), y(velocity(own, trial, entry, c))]);
      }
    });
    drawCursor(panel, x);
  });
  const [first, second] = header.dimension === 2 ? ["x", "y"] : ["1st direction", "2nd direction"];
  element("velocity-legend").textContent = header.dimension > 1 ? `solid: ${first}; dotted: ${second}` : "";
}

function drawLoss() {
  const panel = frame("loss"), { context } = panel;
  let low = Infinity, high = -Infinity;
  eachCurve((own, trial) => {
    for (let entry = 0; entry <= lastEntry(own, trial); entry++) {
      const value = logLoss(own, trial, entry);
      if (value > header.logLoss[0] && isBounded(own, trial, entry)) { low = Math.min(low, value); high = Math.max(high, value); }
    }
  });
  if (low === Infinity) { low = -1; high = 1; }
  const margin = 0.05 * (high - low) || 0.5, range = [low - margin, high + margin], ticks = logTicks(...range);
  const { x, y } = scales(panel, [0, longest()], range);
  const name = header.lossFloor === 0 ? "loss" : `loss above ${short(header.lossFloor)}`;
  drawAxes(panel, { x, y }, niceTicks(0, longest(), 6), ticks, "iteration", name);
  clipped(panel, () => {
    eachCurve((own, trial, one, isMain) => strokeCurve(context, one, isMain, lastEntry(own, trial) + 1, (entry) =>
      [x(iterationOf(own, trial, entry)), y(Math.max(logLoss(own, trial, entry), range[0] - 1))]));
    drawCursor(panel, x);
  });
  legend("loss-legend", curves().length < 2 ? []
    : curves().map(({ color, name: label, selection }) => [color, `${label}: ${describe(selection)}`]));
}
// Mark the current iteration.
function drawCursor({ context, top, bottom }, x) {
  const own = blocks[current().block], trial = mainTrial(current());
  if (state.entry > lastEntry(own, trial)) return;
  const at = x(iterationOf(own, trial, state.entry));
  context.strokeStyle = colors.quiet; context.setLineDash([3, 3]);
  context.beginPath(); context.moveTo(at, top); context.lineTo(at, bottom); context.stroke(); context.setLineDash([]);
}
