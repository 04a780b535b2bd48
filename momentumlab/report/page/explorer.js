"use strict";
// The page of one experiment. All numbers come from the engine; this program selects and draws them.

(async function () {
  const element = (id) => document.getElementById(id);
  const fail = (message) => { element("failure").textContent = message; element("failure").hidden = false; };

  let header, read;
  try {
    if (typeof DecompressionStream === "undefined") throw new Error("this browser lacks DecompressionStream");
    header = JSON.parse(element("header").textContent);
    read = reader(await decompressed(element("payload").textContent.trim()));
  } catch (error) {
    fail(`The data of this page cannot be read: ${error.message}.`);
    return;
  }

  // ---- data ---------------------------------------------------------------------------------------------------

  async function decompressed(base64) {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  function reader(bytes) {
    const types = { i1: Int8Array, u1: Uint8Array, i2: Int16Array, i4: Int32Array, f4: Float32Array, f8: Float64Array };
    return function ({ dtype, shape, offset, difference }) {
      const Type = types[dtype], width = Type.BYTES_PER_ELEMENT, count = shape.reduce((a, b) => a * b, 1);
      const content = new Uint8Array(count * width);
      for (let byte = 0; byte < width; byte++) {
        for (let i = 0; i < count; i++) content[i * width + byte] = bytes[offset + byte * count + i];
      }
      const values = new Type(content.buffer);
      if (difference === undefined) return values;
      // The differenced axis is last in the file; sums wrap around as the differences did.
      const length = shape[difference];
      for (let row = 0; row < count; row += length) {
        for (let i = row + 1; i < row + length; i++) values[i] += values[i - 1];
      }
      const inner = shape.slice(difference + 1).reduce((a, b) => a * b, 1);
      if (inner === 1) return values;
      const moved = new Type(count);
      for (let i = 0; i < count; i++) {
        const position = i % length, rest = Math.floor(i / length);
        moved[(Math.floor(rest / inner) * length + position) * inner + (rest % inner)] = values[i];
      }
      return moved;
    };
  }

  const cache = new Map();
  function block(number) {
    if (!cache.has(number)) {
      const source = header.blocks[number], arrays = {};
      for (const [name, description] of Object.entries(source.arrays)) {
        arrays[name] = description && description.dtype ? read(description) : description;
      }
      const shape = source.axes.map((axis) => axis.values.length);
      const [trials, entries, coordinates] = source.arrays.positions.shape;
      cache.set(number, { ...source, ...arrays, shape, trials, entries, coordinates,
        points: source.arrays.finalPoint.shape[1], directions: (source.arrays.curvatures || []).length });
    }
    return cache.get(number);
  }

  const QUANTA = 32767;
  const [lowLog, highLog] = header.logLoss;
  const position = (own, trial, entry, coordinate) => {
    const value = own.positions[(trial * own.entries + entry) * own.coordinates + coordinate];
    const [low, high] = header.position;
    return low[coordinate] + ((value + QUANTA) / (2 * QUANTA)) * (high[coordinate] - low[coordinate]);
  };
  const vector = (own, name, trial, entry, coordinate) =>
    (own[name][(trial * own.entries + entry) * own.coordinates + coordinate] / QUANTA) *
    own[name === "velocities" ? "velocityScale" : "gradientScale"][trial * own.coordinates + coordinate];
  const logLoss = (own, trial, entry) =>
    lowLog + ((own.heights[trial * own.entries + entry] + QUANTA) / (2 * QUANTA)) * (highLog - lowLog);
  const lastEntry = (own, trial) => Math.min(own.entries - 1, Math.ceil(own.iterations[trial] / header.stride));
  const iterationOf = (own, trial, entry) => Math.min(entry * header.stride, own.iterations[trial]);

  // ---- state --------------------------------------------------------------------------------------------------

  const quantities = {
    finalLoss: "final loss", iterations: "iterations", measuredRate: "measured rate", predictedRate: "predicted rate",
  };
  const fresh = (number) => ({ block: number, index: [...header.blocks[number].current], start: 0 });
  const state = { ...fresh(0), entry: Infinity, quantity: "finalLoss", x: 0, y: 1, pins: { a: null, b: null } };
  let playing = null;

  const repeatsOf = (own) => own.starts.length * own.replicates;
  function trialOf(selection, replicate = 0) {
    const own = block(selection.block);
    const cell = selection.index.reduce((sum, i, axis) => sum * own.shape[axis] + i, 0);
    return cell * repeatsOf(own) + selection.start * own.replicates + replicate;
  }
  // Of several replicates, the one with the median final loss stands for the setting.
  function medianReplicate(selection) {
    const own = block(selection.block), first = trialOf(selection);
    const loss = (r) => (Number.isFinite(own.finalLoss[first + r]) ? own.finalLoss[first + r] : Infinity);
    const order = Array.from({ length: own.replicates }, (_, r) => r).sort((r, s) => loss(r) - loss(s));
    return order[Math.floor((own.replicates - 1) / 2)];
  }
  const mainTrial = (selection) => trialOf(selection, medianReplicate(selection));
  const current = () => ({ block: state.block, index: state.index, start: state.start });
  const encode = ({ block, index, start }) => [block, start, ...index].join(".");
  function decode(text) {
    const [number, start, ...index] = text.split(".").map(Number);
    const source = header.blocks[number];
    const inside = source && index.length === source.axes.length && source.starts[start] !== undefined &&
      index.every((i, axis) => Number.isInteger(i) && source.axes[axis].values[i] !== undefined);
    return inside ? { block: number, index, start } : null;
  }
  function writeHash() {
    const parts = new URLSearchParams({ s: encode(current()), q: state.quantity, x: state.x, y: state.y });
    if (Number.isFinite(state.entry)) parts.set("k", state.entry);
    for (const pin of ["a", "b"]) if (state.pins[pin]) parts.set(pin, encode(state.pins[pin]));
    try { history.replaceState(null, "", `#${parts}`); } catch { /* a sandboxed frame has no history */ }
  }
  function readHash() {
    const parts = new URLSearchParams(location.hash.slice(1));
    Object.assign(state, decode(parts.get("s") || "") || {});
    for (const pin of ["a", "b"]) state.pins[pin] = decode(parts.get(pin) || "");
    const entry = Number(parts.get("k") ?? "none");
    state.entry = Number.isInteger(entry) && entry >= 0 ? entry : Infinity;
    if (parts.get("q") in quantities) state.quantity = parts.get("q");
    for (const side of ["x", "y"]) {
      const axis = Number(parts.get(side) ?? "none");
      if (Number.isInteger(axis) && axis >= 0) state[side] = axis;
    }
  }
  function settleMapAxes() {
    const count = block(state.block).axes.length;
    if (state.x >= count) state.x = 0;
    if (state.y >= count || state.y === state.x) state.y = count > 1 ? (state.x === 0 ? 1 : 0) : 0;
  }

  // ---- numbers ------------------------------------------------------------------------------------------------

  const short = (value, digits = 4) => {
    if (!Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    const text = size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(digits - 1) : value.toPrecision(digits);
    return text.includes(".") ? text.replace(/\.?0+(e|$)/, "$1") : text;
  };
  const describe = (selection) => {
    const own = block(selection.block);
    return [own.name, ...own.axes.map((axis, i) => `${axis.label} = ${axis.values[selection.index[i]]}`),
      ...(own.starts.length > 1 ? [`start (${own.starts[selection.start]})`] : [])].join(", ");
  };
  function outcome(selection) {
    const own = block(selection.block), trial = mainTrial(selection);
    const point = Array.from(own.finalPoint.slice(trial * own.points, (trial + 1) * own.points), (x) => short(x));
    return {
      status: header.statuses[own.status[trial]], iterations: own.iterations[trial], loss: own.finalLoss[trial],
      point: `(${point.join(", ")}${header.dimension > own.points ? ", …" : ""})`,
      measured: own.measuredRate[trial], predicted: own.predictedRate ? own.predictedRate[trial] : NaN,
    };
  }

  // Describe each direction from its dominant eigenvalue.
  function theoryText(selection) {
    const own = block(selection.block), trial = mainTrial(selection);
    if (!own.predictedRate) return `Theory does not apply: ${own.noTheory}.`;
    const parts = own.curvatures.map((curvature, i) => {
      const modulus = own.modulus[i * own.trials + trial], angle = own.angle[i * own.trials + trial];
      const motion = modulus > 1 ? "diverges"
        : Math.PI - angle < 1e-4 ? "alternates in sign"
        : angle > 1e-4 ? `oscillates with period ${short((2 * Math.PI) / angle, 3)}` : "monotonic";
      return `curvature ${curvature}: rate ${short(modulus)}, ${motion}`;
    });
    return `Predicted rate ${short(own.predictedRate[trial])}. ${parts.join("; ")}.`;
  }
  function command(selection) {
    const own = block(selection.block);
    const flags = own.axes.map((axis, i) => {
      const value = axis.values[selection.index[i]], quoted = /^[\w.+-]+$/.test(value) ? value : `'${value}'`;
      return `${axis.flag}${quoted}`;
    });
    if (own.startFlags.length) flags.push(own.startFlags[selection.start]);
    return [own.command, ...flags].join(" ");
  }

  // ---- drawing ------------------------------------------------------------------------------------------------

  let colors = {};
  function readColors() {
    const styles = getComputedStyle(document.documentElement);
    for (const name of ["ink", "quiet", "paper", "line", "ground-low", "ground-high", "contour", "own", "a", "b",
      "gradient", "memory", "theory"]) colors[name] = styles.getPropertyValue(`--${name}`).trim();
  }
  const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const VIRIDIS = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b",
    "#fde725"].map(rgb);
  function viridis(share) {
    const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1), i = Math.min(Math.floor(place), VIRIDIS.length - 2);
    return VIRIDIS[i].map((value, c) => Math.round(value + (place - i) * (VIRIDIS[i + 1][c] - value)));
  }

  // A canvas with its size in CSS pixels and a frame with margins for tick labels.
  function frame(id) {
    const canvas = element(id), ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    return { context, left: 58, top: 8, right: width - 10, bottom: height - 36 };
  }
  function niceTicks(low, high, count) {
    const span = high - low || 1, raw = span / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => span / s <= count) || span;
    const ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * span; i++) ticks.push(i * step);
    return ticks;
  }
  function axesOf(panel, [xLow, xHigh], [yLow, yHigh], xName, yName, formatY = short, ticksY = null) {
    const { context, left, right, top, bottom } = panel;
    const x = (value) => left + ((value - xLow) / (xHigh - xLow || 1)) * (right - left);
    const y = (value) => bottom - ((value - yLow) / (yHigh - yLow || 1)) * (bottom - top);
    context.strokeStyle = colors.line; context.fillStyle = colors.ink; context.lineWidth = 1;
    context.strokeRect(left, top, right - left, bottom - top);
    context.textAlign = "center"; context.textBaseline = "top";
    for (const tick of niceTicks(xLow, xHigh, 6)) context.fillText(short(tick), x(tick), bottom + 4);
    context.fillStyle = colors.quiet;
    context.fillText(xName, (left + right) / 2, bottom + 20, right - left);
    context.fillStyle = colors.ink; context.textAlign = "right"; context.textBaseline = "middle";
    for (const tick of ticksY || niceTicks(yLow, yHigh, 5)) context.fillText(formatY(tick), left - 4, y(tick), left - 14);
    context.save(); context.translate(9, (top + bottom) / 2); context.rotate(-Math.PI / 2);
    context.textAlign = "center"; context.fillStyle = colors.quiet; context.fillText(yName, 0, 0, bottom - top);
    context.restore();
    return { x, y };
  }
  function clipped(panel, draw) {
    const { context, left, right, top, bottom } = panel;
    context.save(); context.beginPath(); context.rect(left, top, right - left, bottom - top); context.clip();
    draw(); context.restore();
  }

  // Everything that is drawn: the selected setting and the pinned ones.
  function shown() {
    const selections = [];
    if (state.pins.a) selections.push({ selection: state.pins.a, color: "a", dash: [7, 4], name: "A" });
    if (state.pins.b) selections.push({ selection: state.pins.b, color: "b", dash: [2, 3], name: "B" });
    selections.push({ selection: current(), color: "own", dash: [], name: "selected" });
    return selections;
  }
  function eachCurve(draw) {
    for (const one of shown()) {
      const own = block(one.selection.block);
      const median = medianReplicate(one.selection);
      for (let replicate = 0; replicate < own.replicates; replicate++) {
        if (replicate !== median) draw(own, trialOf(one.selection, replicate), one, false);
      }
      draw(own, trialOf(one.selection, median), one, true);
    }
  }

  let groundKey = null, ground = null;
  function groundImage() {
    const source = header.shades, [, rows, columns] = source.shape;
    const own = block(state.block);
    const surfaces = own.axes.map((axis, i) => (axis.name.startsWith("surface.") ? state.index[i] : null));
    const number = surfaces.filter((i) => i !== null)
      .reduce((sum, i, axis) => sum * header.surfaceShape[axis] + i, 0);
    const key = `${number} ${colors["ground-low"]}`;
    if (key === groundKey) return ground;
    const shades = groundImage.shades || (groundImage.shades = read(source));
    const low = rgb(colors["ground-low"]), high = rgb(colors["ground-high"]), line = rgb(colors.contour);
    // Enlarged four times with interpolation, so that contour lines are smooth.
    const zoom = 4, width = (columns - 1) * zoom + 1, height = (rows - 1) * zoom + 1, image = new ImageData(width, height);
    const at = (r, c) => shades[(number * rows + r) * columns + c];
    const bands = 14, bandOf = new Int16Array(width * height);
    for (let j = 0; j < height; j++) {
      for (let i = 0; i < width; i++) {
        const r = Math.min(Math.floor(j / zoom), rows - 2), c = Math.min(Math.floor(i / zoom), columns - 2);
        const v = j / zoom - r, u = i / zoom - c;
        const corners = [at(r, c), at(r, c + 1), at(r + 1, c), at(r + 1, c + 1)];
        const value = corners.includes(-32768) ? -1
          : (corners[0] * (1 - u) + corners[1] * u) * (1 - v) + (corners[2] * (1 - u) + corners[3] * u) * v;
        bandOf[j * width + i] = value < 0 ? -1 : Math.min(Math.floor((value / 30000) * bands), bands - 1);
      }
    }
    for (let j = 0; j < height; j++) {
      for (let i = 0; i < width; i++) {
        const k = j * width + i, band = bandOf[k], pixel = 4 * ((height - 1 - j) * width + i);
        const isLine = band >= 0 && ((i + 1 < width && bandOf[k + 1] !== band) || (j + 1 < height && bandOf[k + width] !== band));
        const share = band / (bands - 1);
        for (let c = 0; c < 3; c++) image.data[pixel + c] = isLine ? line[c] : low[c] + share * (high[c] - low[c]);
        image.data[pixel + 3] = band < 0 ? 0 : 255;
      }
    }
    const canvas = document.createElement("canvas");
    canvas.width = width; canvas.height = height;
    canvas.getContext("2d").putImageData(image, 0, 0);
    groundKey = key; ground = canvas;
    return ground;
  }

  function drawPath() {
    const panel = frame("path"), { context } = panel, isCurve = header.dimension === 1;
    let yRange = header.window[1], curve = null;
    if (isCurve) {
      const own = block(state.block), count = header.curves.shape[1];
      const surfaces = own.axes.map((axis, i) => (axis.name.startsWith("surface.") ? state.index[i] : null)).filter((i) => i !== null);
      const number = surfaces.reduce((sum, i, axis) => sum * header.surfaceShape[axis] + i, 0);
      const curves = drawPath.curves || (drawPath.curves = read(header.curves));
      curve = curves.slice(number * count, (number + 1) * count);
      const finite = Array.from(curve).filter(Number.isFinite);
      const low = Math.min(...finite), high = Math.max(...finite);
      yRange = [low - 0.08 * (high - low), high + 0.05 * (high - low)];
    } else {
      context.imageSmoothingEnabled = true;
      context.drawImage(groundImage(), panel.left, panel.top, panel.right - panel.left, panel.bottom - panel.top);
    }
    const { x, y } = axesOf(panel, header.window[0], yRange, header.names[0], header.names[1]);
    const height = (own, trial, entry) => header.lossFloor + 10 ** logLoss(own, trial, entry);
    const place = (own, trial, entry) => [x(position(own, trial, entry, 0)),
      y(isCurve ? height(own, trial, entry) : position(own, trial, entry, 1))];
    clipped(panel, () => {
      if (curve) {
        context.strokeStyle = colors.quiet; context.lineWidth = 1.5; context.beginPath();
        const [low, high] = header.window[0];
        curve.forEach((value, i) => context.lineTo(x(low + ((high - low) * i) / (curve.length - 1)), y(value)));
        context.stroke();
      }
      context.fillStyle = colors.ink; context.textAlign = "center"; context.textBaseline = "middle";
      for (const point of header.points) {
        const mark = point.kind.includes("minimum") ? "★" : point.kind.includes("saddle") ? "×" : "▲";
        context.fillText(mark, x(point.at[0]), y(isCurve ? point.loss : point.at[1]));
      }
      eachCurve((own, trial, one, isMain) => {
        const last = Math.min(state.entry, lastEntry(own, trial));
        context.globalAlpha = isMain ? 1 : 0.25;
        context.strokeStyle = colors[one.color]; context.fillStyle = colors[one.color];
        context.lineWidth = isMain ? 1.8 : 1; context.setLineDash(one.dash);
        context.beginPath();
        for (let entry = 0; entry <= last; entry++) context.lineTo(...place(own, trial, entry));
        context.stroke(); context.setLineDash([]);
        if (isMain) {
          for (let entry = 0; entry <= last; entry++) {
            context.beginPath(); context.arc(...place(own, trial, entry), entry === last ? 4.5 : 1.8, 0, 7); context.fill();
          }
        }
      });
      context.globalAlpha = 1;
      if (!isCurve) drawVectors(context, x, y);
    });
    const own = block(state.block);
    const hasVectors = header.dimension > 1 && header.stride === 1 && state.entry < lastEntry(own, mainTrial(current()));
    legend("path-legend", hasVectors ? [
      ["gradient", "gradient step"], ["memory", "momentum"], ["own", "their sum: the next step"]] : []);
  }

  // The next step and its two parts: the step along the exact gradient, and what the optimizer adds to it.
  function drawVectors(context, x, y) {
    const own = block(state.block), trial = mainTrial(current()), last = lastEntry(own, trial);
    const entry = Math.min(state.entry, last);
    if (entry >= last || header.stride > 1) return;
    const lr = Number(own.axes.find((axis) => axis.name === "lr")?.values[state.index[own.axes.findIndex((axis) => axis.name === "lr")]]);
    if (!Number.isFinite(lr)) return;
    const from = [0, 1].map((c) => position(own, trial, entry, c));
    const step = [0, 1].map((c) => -lr * vector(own, "velocities", trial, entry + 1, c));
    const slope = [0, 1].map((c) => -lr * vector(own, "gradients", trial, entry, c));
    const arrow = (start, by, color) => {
      const [ax, ay, bx, by_] = [x(start[0]), y(start[1]), x(start[0] + by[0]), y(start[1] + by[1])];
      const length = Math.hypot(bx - ax, by_ - ay);
      if (!(length > 2)) return;
      const [ux, uy] = [(bx - ax) / length, (by_ - ay) / length], head = Math.min(9, length / 2);
      context.strokeStyle = context.fillStyle = colors[color]; context.lineWidth = 2.2;
      context.beginPath(); context.moveTo(ax, ay); context.lineTo(bx, by_); context.stroke();
      context.beginPath(); context.moveTo(bx, by_);
      context.lineTo(bx - head * ux + 0.5 * head * uy, by_ - head * uy - 0.5 * head * ux);
      context.lineTo(bx - head * ux - 0.5 * head * uy, by_ - head * uy + 0.5 * head * ux); context.fill();
    };
    arrow(from, slope, "gradient");
    arrow([from[0] + slope[0], from[1] + slope[1]], [step[0] - slope[0], step[1] - slope[1]], "memory");
    arrow(from, step, "own");
  }

  function longest() {
    return Math.max(1, ...shown().map(({ selection }) => {
      const own = block(selection.block);
      return own.iterations[mainTrial(selection)];
    }));
  }
  function drawVelocity() {
    const panel = frame("velocity"), { context } = panel;
    let size = 0;
    eachCurve((own, trial, one, isMain) => {
      if (isMain) for (let c = 0; c < own.coordinates; c++) {
        for (let entry = 0; entry <= lastEntry(own, trial); entry++) {
          size = Math.max(size, Math.abs(vector(own, "velocities", trial, entry, c)));
        }
      }
    });
    size = size || 1;
    const { x, y } = axesOf(panel, [0, longest()], [-1.05 * size, 1.05 * size], "iteration", "velocity");
    clipped(panel, () => {
      context.strokeStyle = colors.line; context.beginPath();
      context.moveTo(panel.left, y(0)); context.lineTo(panel.right, y(0)); context.stroke();
      eachCurve((own, trial, one, isMain) => {
        for (let c = 0; c < own.coordinates; c++) {
          context.strokeStyle = colors[one.color]; context.globalAlpha = isMain ? 1 : 0.25;
          context.lineWidth = c === 0 ? 1.8 : 1; context.setLineDash(c === 0 ? one.dash : [1, 2, ...one.dash]);
          context.beginPath();
          for (let entry = 0; entry <= lastEntry(own, trial); entry++) {
            context.lineTo(x(iterationOf(own, trial, entry)), y(vector(own, "velocities", trial, entry, c)));
          }
          context.stroke();
        }
      });
      context.globalAlpha = 1; context.setLineDash([]);
      drawCursor(context, x, panel);
    });
    const names = header.dimension === 1 ? ["x"] : header.dimension === 2 ? ["x", "y"] : ["1st direction", "2nd direction"];
    element("velocity-legend").textContent = names.length > 1 ? `solid: ${names[0]}; dotted: ${names[1]}` : "";
  }
  function drawLoss() {
    const panel = frame("loss"), { context } = panel;
    let low = Infinity, high = -Infinity;
    eachCurve((own, trial) => {
      for (let entry = 0; entry <= lastEntry(own, trial); entry++) {
        const value = logLoss(own, trial, entry);
        if (value > lowLog && value < 30) { low = Math.min(low, value); high = Math.max(high, value); }
      }
    });
    if (!(low < high)) { low = low === Infinity ? -1 : low - 1; high = low + 2; }
    low = Math.floor(low); high = Math.ceil(high);
    const step = Math.max(1, Math.ceil((high - low) / 6)), ticks = [];
    for (let value = low; value <= high; value += step) ticks.push(value);
    const name = header.lossFloor === 0 ? "loss" : `loss − ${short(header.lossFloor)}`;
    const { x, y } = axesOf(panel, [0, longest()], [low, high], "iteration", name, (value) => `1e${value}`, ticks);
    clipped(panel, () => {
      eachCurve((own, trial, one, isMain) => {
        context.strokeStyle = colors[one.color]; context.globalAlpha = isMain ? 1 : 0.25;
        context.lineWidth = isMain ? 1.8 : 1; context.setLineDash(one.dash); context.beginPath();
        for (let entry = 0; entry <= lastEntry(own, trial); entry++) {
          context.lineTo(x(iterationOf(own, trial, entry)), y(Math.max(logLoss(own, trial, entry), low - 1)));
        }
        context.stroke();
      });
      context.globalAlpha = 1; context.setLineDash([]);
      drawCursor(context, x, panel);
    });
    legend("loss-legend", shown().length > 1 ? shown().map(({ color, name, selection }) => [color, `${name}: ${describe(selection)}`]) : []);
  }
  function drawCursor(context, x, panel) {
    const own = block(state.block), trial = mainTrial(current());
    if (state.entry > lastEntry(own, trial)) return;
    const at = x(iterationOf(own, trial, state.entry));
    context.strokeStyle = colors.quiet; context.setLineDash([3, 3]); context.beginPath();
    context.moveTo(at, panel.top); context.lineTo(at, panel.bottom); context.stroke(); context.setLineDash([]);
  }
  function legend(id, entries) {
    element(id).replaceChildren(...entries.flatMap(([color, text], i) => {
      const mark = document.createElement("b"), words = document.createElement("span");
      mark.className = `c-${color}`; mark.textContent = "━ "; words.textContent = `${text}${i + 1 < entries.length ? "   " : ""}`;
      return [mark, words];
    }));
  }

  // ---- the map ------------------------------------------------------------------------------------------------

  let mapPlace = null;
  function cellValues(own, name) {
    const columns = own.shape[state.x] || 1, rows = state.y !== state.x ? own.shape[state.y] || 1 : 1, values = [], statuses = [];
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const index = [...state.index];
        if (own.shape.length) index[state.x] = column;
        if (own.shape.length > 1) index[state.y] = row;
        const trial = mainTrial({ block: state.block, index, start: state.start });
        values.push(own[name] ? own[name][trial] : NaN); statuses.push(own.status[trial]);
      }
    }
    return { columns, rows, values, statuses };
  }
  function drawMap() {
    const own = block(state.block);
    element("map-figure").hidden = own.axes.length === 0;
    if (!own.axes.length) return;
    const panel = frame("map"), { context, left, right, top, bottom } = panel;
    const { columns, rows, values, statuses } = cellValues(own, state.quantity);
    const isLog = state.quantity === "finalLoss", diverged = Number(Object.keys(header.statuses).find((code) => header.statuses[code] === "diverged"));
    const scaled = values.map((value, i) => (statuses[i] === diverged && !state.quantity.endsWith("Rate") ? NaN
      : isLog ? Math.log10(Math.max(value - header.lossFloor, 10 ** lowLog)) : value));
    const finite = scaled.filter(Number.isFinite), low = Math.min(...finite);
    // Losses above that of the start share the darkest colour: they would hide the differences below it.
    const first = logLoss(own, mainTrial(current()), 0), worst = Math.max(...finite);
    const high = isLog && low < first ? Math.min(worst, first) : worst;
    const width = (right - left) / columns, height = (bottom - top) / rows;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const value = scaled[row * columns + column];
        const share = high > low ? (value - low) / (high - low) : 0.5;
        context.fillStyle = Number.isFinite(value) ? `rgb(${viridis(1 - share)})` : colors.line;
        context.fillRect(left + column * width, bottom - (row + 1) * height, width + 0.6, height + 0.6);
      }
    }
    mapPlace = { left, bottom, width, height, columns, rows };
    if (rows > 1 && columns > 1) drawTheory(panel, own, width, height);
    // Ticks at the values of the cells.
    context.fillStyle = colors.ink; context.textAlign = "center"; context.textBaseline = "top";
    const xAxis = own.axes[state.x], yAxis = own.axes[state.y];
    for (let i = 0, every = Math.max(1, Math.ceil(columns / 5)); i < columns; i += every) {
      context.fillText(short(Number(xAxis.values[i]), 3).replace("–", xAxis.values[i].slice(0, 12)), left + (i + 0.5) * width, bottom + 4);
    }
    context.fillStyle = colors.quiet; context.fillText(xAxis.label, (left + right) / 2, bottom + 20);
    if (rows > 1) {
      context.fillStyle = colors.ink; context.textAlign = "right"; context.textBaseline = "middle";
      for (let i = 0, every = Math.max(1, Math.ceil(rows / 6)); i < rows; i += every) {
        context.fillText(short(Number(yAxis.values[i]), 3).replace("–", yAxis.values[i].slice(0, 6)), left - 4, bottom - (i + 0.5) * height);
      }
      context.save(); context.translate(9, (top + bottom) / 2); context.rotate(-Math.PI / 2);
      context.textAlign = "center"; context.fillStyle = colors.quiet; context.fillText(yAxis.label, 0, 0); context.restore();
    }
    const mark = (selection, color, name) => {
      if (selection.block !== state.block) return;
      const column = selection.index[state.x], row = rows > 1 ? selection.index[state.y] : 0;
      const cx = left + (column + 0.5) * width, cy = bottom - (row + 0.5) * height;
      context.lineWidth = 4; context.strokeStyle = "#fff"; context.beginPath(); context.arc(cx, cy, 8, 0, 7); context.stroke();
      context.lineWidth = 2; context.strokeStyle = "#000"; context.stroke();
      if (name) {
        context.textAlign = "center"; context.textBaseline = "middle"; context.lineWidth = 3; context.strokeStyle = "#fff";
        context.strokeText(name, cx, cy); context.fillStyle = "#000"; context.fillText(name, cx, cy);
      }
    };
    if (state.pins.a) mark(state.pins.a, "a", "A");
    if (state.pins.b) mark(state.pins.b, "b", "B");
    mark(current(), "own", "");
    const ends = isLog ? [low, high].map((value) => short(10 ** value + header.lossFloor, 3)) : [low, high].map((value) => short(value));
    const parts = finite.length && low === high ? [`${ends[0]} everywhere`] : finite.length ? [`bright ${ends[0]}, dark ${ends[1]}${high < worst ? " (the start) or more" : ""}`] : ["every setting diverged"];
    if (finite.length < scaled.length) parts.push("grey: diverged or undefined");
    if (own.predictedRate && rows > 1) parts.push("orange line: stability limit; dashed: oscillation begins; +: best predicted rate");
    element("map-legend").textContent = parts.join("; ");
  }

  // Marching squares over the cells' centres.
  function contour(context, values, columns, rows, level, px, py) {
    context.beginPath();
    for (let row = 0; row + 1 < rows; row++) {
      for (let column = 0; column + 1 < columns; column++) {
        const corner = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([i, j]) => [column + i, row + j, values[(row + j) * columns + column + i] - level]);
        const crossings = [];
        for (let edge = 0; edge < 4; edge++) {
          const [ax, ay, a] = corner[edge], [bx, by, b] = corner[(edge + 1) % 4];
          if ((a < 0) !== (b < 0)) crossings.push([ax + (bx - ax) * (a / (a - b)), ay + (by - ay) * (a / (a - b))]);
        }
        for (let i = 0; i + 1 < crossings.length; i += 2) {
          context.moveTo(px(crossings[i][0]), py(crossings[i][1]));
          context.lineTo(px(crossings[i + 1][0]), py(crossings[i + 1][1]));
        }
      }
    }
    context.stroke();
  }
  function drawTheory(panel, own, width, height) {
    if (!own.predictedRate) return;
    const { context, left, bottom } = panel, px = (i) => left + (i + 0.5) * width, py = (j) => bottom - (j + 0.5) * height;
    const { columns, rows, values } = cellValues(own, "predictedRate");
    context.lineWidth = 4; context.strokeStyle = "#fff"; contour(context, values, columns, rows, 1, px, py);
    context.lineWidth = 2; context.strokeStyle = "#d55e00"; contour(context, values, columns, rows, 1, px, py);
    context.setLineDash([6, 4]); context.strokeStyle = "#fff"; context.lineWidth = 1.6;
    for (let i = 0; i < own.directions; i++) {
      own.direction = own.discriminants.subarray(i * own.trials, (i + 1) * own.trials);
      contour(context, cellValues(own, "direction").values, columns, rows, 0, px, py);
    }
    context.setLineDash([]);
    const best = values.indexOf(Math.min(...values));
    context.font = "bold 18px system-ui, sans-serif"; context.textAlign = "center"; context.textBaseline = "middle";
    context.lineWidth = 3; context.strokeStyle = "#fff";
    context.strokeText("+", px(best % columns), py(Math.floor(best / columns)));
    context.fillStyle = "#d55e00"; context.fillText("+", px(best % columns), py(Math.floor(best / columns)));
    context.font = "12px system-ui, sans-serif";
  }

  // ---- text and controls --------------------------------------------------------------------------------------

  function showText() {
    const now = current(), { status, iterations, loss, point, measured } = outcome(now);
    const rate = Number.isFinite(measured) ? `, measured rate ${short(measured)}` : "";
    element("status").textContent =
      `${describe(now)}: ${status} after ${iterations} iterations at ${point}, loss ${Number.isFinite(loss) ? loss : "not finite"}${rate}.`;
    element("theory").textContent = theoryText(now);
    element("command").textContent = command(now);
    const rows = shown().map(({ name, selection }) => {
      const result = outcome(selection);
      return [name, describe(selection), result.status, result.iterations, Number.isFinite(result.loss) ? result.loss : "–", short(result.measured), short(result.predicted)];
    });
    const table = element("comparison");
    table.hidden = rows.length < 2;
    const heading = ["curve", "setting", "status", "iterations", "final loss", "measured rate", "predicted rate"];
    table.replaceChildren(...[heading, ...rows].map((cells, i) => {
      const row = document.createElement("tr");
      row.replaceChildren(...cells.map((cell) => {
        const item = document.createElement(i === 0 ? "th" : "td");
        if (i === 0) item.scope = "col";
        item.textContent = cell;
        return item;
      }));
      return row;
    }));
  }

  let pending = false;
  function update() {
    writeHash();
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      syncControls(); drawPath(); drawMap(); drawVelocity(); drawLoss(); showText();
      document.documentElement.dataset.frame = String(Number(document.documentElement.dataset.frame || 0) + 1);
    });
  }
  const option = (value, text) => Object.assign(document.createElement("option"), { value, textContent: text });
  function buildControls() {
    settleMapAxes();
    const own = block(state.block);
    element("axes").replaceChildren(...own.axes.map((axis, i) => {
      const field = document.createElement("div"), label = document.createElement("label");
      const slider = document.createElement("input"), output = document.createElement("output");
      field.className = "field"; label.textContent = axis.label; label.htmlFor = slider.id = `axis-${axis.name.replace(/\W/g, "-")}`;
      Object.assign(slider, { type: "range", min: 0, max: axis.values.length - 1, step: 1 });
      output.htmlFor = slider.id;
      slider.addEventListener("input", () => { state.index[i] = Number(slider.value); update(); });
      field.replaceChildren(label, slider, output);
      return field;
    }));
    element("start").replaceChildren(...own.starts.map((start, i) => option(i, `(${start})`)));
    element("start-field").hidden = own.starts.length < 2;
    for (const [id, side] of [["map-x", "x"], ["map-y", "y"]]) {
      element(id).replaceChildren(...own.axes.map((axis, i) => option(i, axis.label)));
      element(id).value = state[side];
    }
    document.querySelector(".map-axes").hidden = own.axes.length < 3;
    const available = Object.entries(quantities).filter(([name]) => name !== "predictedRate" || own.predictedRate);
    element("quantity").replaceChildren(...available.map(([name, text]) => option(name, text)));
    if (!available.some(([name]) => name === state.quantity)) state.quantity = "finalLoss";
  }
  function syncControls() {
    const own = block(state.block), trial = mainTrial(current()), last = lastEntry(own, trial);
    element("optimizer").value = state.block; element("start").value = state.start; element("quantity").value = state.quantity;
    element("map-x").value = state.x; element("map-y").value = state.y;
    element("axes").querySelectorAll("input").forEach((slider, i) => {
      const text = own.axes[i].values[state.index[i]];
      slider.value = state.index[i]; slider.setAttribute("aria-valuetext", text);
      slider.nextElementSibling.textContent = text;
    });
    const entry = Math.min(state.entry, last);
    element("iteration").max = last; element("iteration").value = entry;
    element("iteration-value").textContent = iterationOf(own, trial, entry);
    element("play").textContent = playing ? "Pause" : "Play";
  }
  function move(by) {
    const last = lastEntry(block(state.block), mainTrial(current()));
    state.entry = Math.min(Math.max(Math.min(state.entry, last) + by, 0), last);
    update();
  }
  function stop() { clearInterval(playing); playing = null; }
  function play() {
    if (playing) { stop(); update(); return; }
    const last = lastEntry(block(state.block), mainTrial(current()));
    if (Math.min(state.entry, last) >= last) state.entry = 0;
    const slow = matchMedia("(prefers-reduced-motion: reduce)").matches;
    playing = setInterval(() => {
      const end = lastEntry(block(state.block), mainTrial(current()));
      if (state.entry >= end) stop(); else state.entry += 1;
      update();
    }, slow ? 500 : Math.max(16, Math.min(120, 6000 / Math.max(last, 1))));
    update();
  }
  function choose(index) {
    const own = block(state.block);
    state.index = index.map((i, axis) => Math.min(Math.max(i, 0), own.shape[axis] - 1));
    update();
  }

  element("title").textContent = header.name;
  element("subtitle").textContent = `${header.title} · ${header.formula}`;
  element("notes").replaceChildren(...header.notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
  element("optimizer").replaceChildren(...header.blocks.map((own, i) => option(i, own.name)));
  element("optimizer-field").hidden = header.blocks.length < 2;
  element("optimizer").addEventListener("change", (event) => {
    const before = block(state.block), chosen = fresh(Number(event.target.value));
    // Keep the start; keep the values of axes that both optimizers have, at the nearest position.
    header.blocks[chosen.block].axes.forEach((axis, i) => {
      const same = before.axes.findIndex((other) => other.name === axis.name);
      const position = same < 0 ? -1 : axis.values.indexOf(before.axes[same].values[state.index[same]]);
      if (position >= 0) chosen.index[i] = position;
    });
    Object.assign(state, chosen, { start: state.start });
    buildControls(); update();
  });
  element("start").addEventListener("change", (event) => { state.start = Number(event.target.value); update(); });
  element("quantity").addEventListener("change", (event) => { state.quantity = event.target.value; update(); });
  for (const [id, side] of [["map-x", "x"], ["map-y", "y"]]) {
    element(id).addEventListener("change", (event) => {
      const other = side === "x" ? "y" : "x", chosen = Number(event.target.value);
      if (state[other] === chosen) state[other] = state[side];
      state[side] = chosen; update();
    });
  }
  element("iteration").addEventListener("input", (event) => { stop(); state.entry = Number(event.target.value); update(); });
  element("back").addEventListener("click", () => { stop(); move(-1); });
  element("forward").addEventListener("click", () => { stop(); move(1); });
  element("play").addEventListener("click", play);
  element("pin-a").addEventListener("click", () => { state.pins.a = structuredClone(current()); update(); });
  element("pin-b").addEventListener("click", () => { state.pins.b = structuredClone(current()); update(); });
  element("unpin").addEventListener("click", () => { state.pins = { a: null, b: null }; update(); });
  element("copy").addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(element("command").textContent); element("copy").textContent = "Copied"; }
    catch { getSelection().selectAllChildren(element("command")); element("copy").textContent = "Selected"; }
    setTimeout(() => { element("copy").textContent = "Copy command"; }, 1500);
  });
  const pointAt = (event) => {
    const box = element("map").getBoundingClientRect(), index = [...state.index];
    const column = Math.floor((event.clientX - box.left - mapPlace.left) / mapPlace.width);
    const row = Math.floor((mapPlace.bottom - (event.clientY - box.top)) / mapPlace.height);
    if (column < 0 || row < 0 || column >= mapPlace.columns || row >= mapPlace.rows) return;
    index[state.x] = column;
    if (mapPlace.rows > 1) index[state.y] = row;
    choose(index);
  };
  element("map").addEventListener("pointerdown", (event) => { element("map").setPointerCapture(event.pointerId); pointAt(event); });
  element("map").addEventListener("pointermove", (event) => { if (event.buttons === 1) pointAt(event); });
  element("map").addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [state.x, -1], ArrowRight: [state.x, 1], ArrowUp: [state.y, 1], ArrowDown: [state.y, -1] };
    const own = block(state.block);
    if (!(event.key in moves) || (event.key.match(/Up|Down/) && own.axes.length < 2)) return;
    const [axis, by] = moves[event.key], index = [...state.index];
    index[axis] += by; event.preventDefault(); choose(index);
  });
  addEventListener("resize", update);
  addEventListener("hashchange", () => { readHash(); buildControls(); update(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColors(); update(); });

  // For the console: the decoded trajectory of the selected setting.
  window.momentumlab = {
    selected: current,
    trajectory(selection = current()) {
      const own = block(selection.block), trial = mainTrial(selection);
      return Array.from({ length: lastEntry(own, trial) + 1 }, (_, entry) => ({
        iteration: iterationOf(own, trial, entry),
        position: Array.from({ length: own.coordinates }, (_, c) => position(own, trial, entry, c)),
        velocity: Array.from({ length: own.coordinates }, (_, c) => vector(own, "velocities", trial, entry, c)),
        logLoss: logLoss(own, trial, entry),
      }));
    },
  };

  readColors(); readHash(); buildControls(); update();
})();
