// Controls, and what happens when one is used.

let pending = false;
const live = { request: null };  // a live page replaces this: called when a trajectory is missing
function update() {
  writeHash(hashParts());
  if (live.request && !isRecorded(selected())) live.request();
  if (!pending) requestAnimationFrame(draw);
  pending = true;
}
function draw() {
  pending = false;
  syncControls(); drawPath(); drawMap(); drawVelocity(); drawLoss(); showText();
  document.documentElement.dataset.frame = String(Number(document.documentElement.dataset.frame || 0) + 1);
}

const create = (tag, properties, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const option = (value, textContent) => create("option", { value, textContent });

// Build the controls that depend on the optimizer.
function buildControls() {
  settleMapAxes();
  const own = blocks[state.block];
  element("axes").replaceChildren(...own.axes.map((axis, i) => {
    const id = `axis-${axis.name.replace(/\W/g, "-")}`;
    const slider = create("input", { id, type: "range", min: 0, max: axis.values.length - 1, step: 1 });
    slider.addEventListener("input", () => { state.index[i] = Number(slider.value); update(); });
    return create("div", { className: "field" },
      create("label", { textContent: axis.label, htmlFor: id }), slider, create("output", { htmlFor: id }));
  }));
  element("start").replaceChildren(...own.starts.map((start, i) => option(i, `(${start})`)));
  element("start-field").hidden = own.starts.length < 2;
  for (const id of ["map-x", "map-y"]) element(id).replaceChildren(...own.axes.map((axis, i) => option(i, axis.label)));
  document.querySelector(".map-axes").hidden = own.axes.length < 3;
  const isKnown = { predictedRate: own.predictedRate, measuredRate: own.rows === own.iterations.length };
  const available = Object.keys(quantities).filter((name) => isKnown[name] ?? true);
  element("quantity").replaceChildren(...available.map((name) => option(name, quantities[name])));
  if (!available.includes(state.quantity)) state.quantity = "finalLoss";
}
function syncControls() {
  const own = blocks[state.block], trial = mainTrial(current()), last = lastEntry(blocks[current().block], trial);
  element("optimizer").value = state.block; element("start").value = state.start; element("quantity").value = state.quantity;
  element("map-x").value = state.x; element("map-y").value = state.y;
  element("axes").querySelectorAll("input[type=range]").forEach((slider, i) => {
    const text = own.axes[i].values[state.index[i]];
    slider.value = state.index[i]; slider.setAttribute("aria-valuetext", text);
    slider.nextElementSibling.value = text;
  });
  const entry = Math.min(state.entry, last);
  element("iteration").max = last; element("iteration").value = entry;
  element("iteration-value").textContent = iterationOf(own, trial, entry);
  element("play").textContent = player.timer ? "Pause" : "Play";
}
function showText() {
  const now = current(), { status, iterations, loss, point, measured } = outcome(now), { replicates } = blocks[now.block];
  const rate = Number.isFinite(measured) ? `, measured rate ${short(measured)}` : "";
  const exact = (value) => (Number.isFinite(value) ? value : "not finite");
  element("status").textContent =
    `${describe(now)}${replicates > 1 ? `, median of ${replicates} replicates` : ""}: ` +
    `${status} after ${iterations} iterations at ${point}, loss ${exact(loss)}${rate}.`;
  element("theory").textContent = theoryText(now);
  element("command").textContent = command(now);
  const heading = ["curve", "setting", "status", "iterations", "final loss", "measured rate", "predicted rate"];
  const rows = curves().map(({ name, selection }) => {
    const one = outcome(selection);
    return [name, describe(selection), one.status, one.iterations, exact(one.loss), short(one.measured), short(one.predicted)];
  });
  element("comparison-frame").hidden = rows.length < 2;
  element("comparison").replaceChildren(
    create("tr", {}, ...heading.map((textContent) => create("th", { textContent, scope: "col" }))),
    ...rows.map((cells) => create("tr", {}, ...cells.map((textContent) => create("td", { textContent })))),
  );
}

// ---- the iteration ----------------------------------------------------------------------------------------------

const player = { timer: null };
const lastOfCurrent = () => lastEntry(blocks[current().block], mainTrial(current()));
function stop() { clearInterval(player.timer); player.timer = null; }
function move(by) {
  const last = lastOfCurrent();
  state.entry = Math.min(Math.max(Math.min(state.entry, last) + by, 0), last);
  update();
}
function play() {
  if (player.timer) { stop(); update(); return; }
  if (state.entry >= lastOfCurrent()) state.entry = 0;
  const isSlow = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const pause = isSlow ? 500 : Math.max(16, Math.min(120, 6000 / Math.max(lastOfCurrent(), 1)));
  player.timer = setInterval(() => {
    if (state.entry >= lastOfCurrent()) stop(); else state.entry += 1;
    update();
  }, pause);
  update();
}

// ---- events -----------------------------------------------------------------------------------------------------

const on = (id, type, react) => element(id).addEventListener(type, react);

function connectControls() {
  on("optimizer", "change", (event) => {
    const before = blocks[state.block], { index, start } = selected();
    select(Number(event.target.value));
    // Keep the start, and the values of the axes that both optimizers have.
    blocks[state.block].axes.forEach((axis, i) => {
      const same = before.axes.findIndex((other) => other.name === axis.name);
      const kept = same < 0 ? -1 : axis.values.indexOf(before.axes[same].values[index[same]]);
      if (kept >= 0) state.index[i] = kept;
    });
    state.start = start;
    buildControls(); update();
  });
  on("start", "change", (event) => { state.start = Number(event.target.value); update(); });
  on("quantity", "change", (event) => { state.quantity = event.target.value; update(); });
  for (const [id, side, other] of [["map-x", "x", "y"], ["map-y", "y", "x"]]) {
    on(id, "change", (event) => {
      const chosen = Number(event.target.value);
      if (state[other] === chosen) state[other] = state[side];
      state[side] = chosen; update();
    });
  }
  on("iteration", "input", (event) => { stop(); state.entry = Number(event.target.value); update(); });
  on("back", "click", () => { stop(); move(-1); });
  on("forward", "click", () => { stop(); move(1); });
  on("play", "click", play);
  on("pin-a", "click", () => { state.pins.a = current(); update(); });
  on("pin-b", "click", () => { state.pins.b = current(); update(); });
  on("unpin", "click", () => { state.pins = { a: null, b: null }; update(); });
  on("copy", "click", async () => {
    try { await navigator.clipboard.writeText(element("command").textContent); element("copy").textContent = "Copied"; }
    catch { getSelection().selectAllChildren(element("command")); element("copy").textContent = "Selected"; }
    setTimeout(() => { element("copy").textContent = "Copy command"; }, 1500);
  });

  const choose = (index) => {
    state.index = index.map((i, axis) => Math.min(Math.max(i, 0), blocks[state.block].shape[axis] - 1));
    update();
  };
  const pointAt = (event) => {
    const { columns, rows, x, y } = mapPlace, box = element("map").getBoundingClientRect();
    const px = event.clientX - box.left, py = event.clientY - box.top;
    const column = columns.edges.findLastIndex((edge) => x(edge) <= px), row = rows.edges.findLastIndex((edge) => y(edge) >= py);
    if (column < 0 || row < 0 || column >= columns.centers.length || row >= rows.centers.length) return;
    choose(mapIndex(blocks[state.block], column, row));
  };
  on("map", "pointerdown", (event) => { element("map").setPointerCapture(event.pointerId); pointAt(event); });
  on("map", "pointermove", (event) => { if (event.buttons === 1) pointAt(event); });
  on("map", "keydown", (event) => {
    const moves = { ArrowLeft: [state.x, -1], ArrowRight: [state.x, 1], ArrowUp: [state.y, 1], ArrowDown: [state.y, -1] };
    if (!(event.key in moves) || (/Up|Down/.test(event.key) && blocks[state.block].axes.length < 2)) return;
    const [axis, by] = moves[event.key], index = [...state.index];
    index[axis] += by; event.preventDefault(); choose(index);
  });
  addEventListener("resize", update);
  addEventListener("hashchange", () => { readHash(); buildControls(); update(); });
  // Paper is white in dark mode, too; a page that is printed has no time for an animation frame.
  for (const query of ["print", "(prefers-color-scheme: dark)"]) {
    matchMedia(query).addEventListener("change", () => { readColors(); draw(); });
  }
}
function showHeader() {
  element("title").textContent = header.name;
  element("subtitle").textContent = [...new Set([header.title, header.formula])].join(" · ");
  element("notes").replaceChildren(...header.notes.map((textContent) => create("li", { textContent })));
  element("optimizer").replaceChildren(...blocks.map((own, i) => option(i, own.name)));
  element("optimizer-field").hidden = blocks.length < 2;
}

// For the console: the selected setting, the final losses of its replicates, and its decoded trajectory.
window.momentumlab = {
  selected: current,
  finalLosses() {
    const own = blocks[current().block], first = trialOf(current());
    return Array.from(own.finalLoss.slice(first, first + own.replicates));
  },
  trajectory(selection = current()) {
    const own = blocks[selection.block], trial = mainTrial(selection);
    const each = (value, entry) => Array.from({ length: own.coordinates }, (_, c) => value(own, trial, entry, c));
    return Array.from({ length: lastEntry(own, trial) + 1 }, (_, entry) => ({
      iteration: iterationOf(own, trial, entry),
      position: each(position, entry),
      velocity: each(velocity, entry),
      logLoss: logLoss(own, trial, entry),
    }));
  },
};
