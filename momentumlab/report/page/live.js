// A page whose data come from a local server: settings are sent, trajectories and maps come back.

const shell = JSON.parse(element("header").textContent);
const given = new URLSearchParams(location.hash.slice(1));
const token = given.get("token") || "";
const tab = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
const laboratory = { settings: { ...shell.settings }, pins: { a: shell.pins[0] || null, b: shell.pins[1] || null }, chosen: {}, view: null };
const PATIENCE = 1000;  // in milliseconds

// ---- requests: one under way, the newest next ------------------------------------------------------------------

let count = 0;        // of the requests
let needed = null;    // what the next request must ask for
let underWay = null;  // aborts the request under way
let patience = null;
const joined = (newer, older) => ({ ...newer, map: newer.map || older?.map, reset: newer.reset || older?.reset, fit: newer.fit || older?.fit });

// Ask for the selected setting. Parts: map (settings have changed), reset (the axes may have changed), fit, moving.
async function request(parts) {
  needed = joined(parts, needed);
  if (underWay) {
    // Quick answers are waited for, or nothing would be seen while the start is dragged. A slow one is given up, and
    // the server ends its computation when it gets the newer request.
    patience ??= setTimeout(() => underWay.abort(), PATIENCE);
    return;
  }
  try {
    while (needed) {
      const asked = needed;
      needed = null; underWay = new AbortController();
      await exchange(asked, underWay.signal);
      clearTimeout(patience); patience = null;
      if (underWay.signal.aborted) needed = joined(needed, asked);
      document.documentElement.dataset.answers = String(Number(document.documentElement.dataset.answers || 0) + 1);
    }
  } finally {
    underWay = null;
  }
}
const question = (parts) => ({
  settings: laboratory.settings,
  pins: ["a", "b"].map((pin) => laboratory.pins[pin]).filter(Boolean),
  chosen: laboratory.chosen,
  view: laboratory.view,
  map: Boolean(parts.map),
  fit: Boolean(parts.fit),
  moving: Boolean(parts.moving),
  tab,
  number: count += 1,
});
async function post(path, body, signal) {
  let response, document;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Momentumlab-Token": token },
      body: JSON.stringify(body),
      signal,
    });
    document = await response.json();
  } catch {
    if (signal?.aborted) return null;
    showProblems([{ place: "", message: "The server does not answer. Start it again with 'momentumlab explore', and open its new address." }]);
    return null;
  }
  if (response.ok) return document;
  if (response.status !== 409) showProblems(document.problems);
  return null;
}
async function exchange(parts, signal) {
  const answered = await post("/answer", question(parts), signal);
  if (!answered) return;
  showProblems([]);
  receive(answered.header, reader(await decompressed(answered.payload)), parts);
}

const MAP_ARRAYS = ["iterations", "status", "finalLoss", "finalPoint", "points", "predictedRate", "isUnstable",
  "discriminants", "curvatures", "modulus", "angle", "crossings", "noTheory"];
// Take over an answer; what it does not contain stays: the view, and the map of the same settings.
function receive(answer, read, parts) {
  const [selectedBlock, ...pinned] = answer.blocks;
  if (!answer.hasMap) {
    for (const name of MAP_ARRAYS) selectedBlock[name] = blocks[0][name];
  }
  laboratory.view = answer.view;
  load({ ...header, ...answer, blocks: [selectedBlock, ...pinned] }, read);
  const pins = ["a", "b"].filter((pin) => laboratory.pins[pin]);
  state.pins = { a: null, b: null };
  pins.forEach((pin, i) => { state.pins[pin] = { block: i + 1, index: [], start: 0 }; });
  Object.assign(state, { block: 0, index: [...blocks[0].current] });
  drawn = null;
  if (parts.reset) {
    buildLaboratory(answer.fields);
    buildControls();
    stop();
  }
  state.start = Math.min(state.start, blocks[0].starts.length - 1);
  showHeader();
  element("optimizer-field").hidden = true;  // the laboratory has its own
  update();
}
function showProblems(problems) {
  element("problem").hidden = problems.length === 0;
  element("problem").textContent = problems.map(({ place, message }) => (place ? `${place}: ${message}` : message)).join("\n");
  const places = problems.map(({ place }) => place);
  for (const input of document.querySelectorAll("#laboratory input, #axes input[type=text]")) {
    const isWrong = places.includes(input.dataset.key) || (input.id === "expression" && places.includes("surface"));
    input.setAttribute("aria-invalid", isWrong);
  }
}

// ---- settings ---------------------------------------------------------------------------------------------------

function change(settings) {
  for (const key of Object.keys(settings)) delete laboratory.chosen[key];
  Object.assign(laboratory.settings, settings);
  request({ map: true, reset: true });
}
function chooseSurface(name) {
  for (const key of Object.keys(laboratory.settings)) {
    if (key.startsWith("surface.") || key === "start" || key === "target_loss") delete laboratory.settings[key];
  }
  change({ surface: name });
}
function chooseMethod(name) {
  const known = new Set(shell.optimizers[name]);
  for (const key of shell.optimizers[laboratory.settings.optimizer]) {
    if (!known.has(key)) delete laboratory.settings[key];
  }
  change({ optimizer: name });
}
const EXPRESSION = "an expression …";
function showChoices() {
  const { surface, optimizer } = laboratory.settings, isNamed = shell.surfaces.includes(surface);
  element("surface").value = isNamed ? surface : EXPRESSION;
  element("expression-field").hidden = element("surface").value !== EXPRESSION;
  if (!isNamed) element("expression").value = surface;
  element("method").value = optimizer;
}
// Build a text field for every setting, or fill in those that are there: a new field would lose the focus.
function buildLaboratory(fields) {
  const shown = Array.from(document.querySelectorAll("#settings input, #more-settings input"));
  if (shown.map((input) => input.dataset.key).join() === fields.map(({ key }) => key).join()) {
    fields.forEach(({ text }, i) => { if (shown[i] !== document.activeElement) shown[i].value = text; });
    showChoices();
    return;
  }
  const made = fields.map(({ key, label, text, help }) => {
    const id = `setting-${key.replace(/\W/g, "-")}`;
    const input = create("input", { id, type: "text", value: text, title: help, spellcheck: false, autocomplete: "off" });
    input.dataset.key = key;
    input.addEventListener("change", () => change({ [key]: input.value }));
    return create("div", { className: "field" }, create("label", { htmlFor: id, textContent: label, title: help }), input);
  });
  const first = fields.findIndex(({ key }) => key === "tolerance");
  element("settings").replaceChildren(...made.slice(0, first));
  element("more-settings").replaceChildren(...made.slice(first));
  showChoices();
}

// ---- dragging the start -----------------------------------------------------------------------------------------

let isDragging = false;
function moveStart(point, moving) {
  const digits = (value) => Number(value.toPrecision(6));
  laboratory.settings.start = `[${point.map(digits).join(", ")}]`;
  element("setting-start").value = laboratory.settings.start;
  state.start = 0; state.entry = Infinity;
  request({ map: true, moving });
}
function startAt(event, moving) {
  const { panel: { left, right, top, bottom }, xRange, yRange } = pathScales, box = element("path").getBoundingClientRect();
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const px = clamp(event.clientX - box.left, left, right), py = clamp(event.clientY - box.top, top, bottom);
  const x = xRange[0] + ((px - left) / (right - left)) * (xRange[1] - xRange[0]);
  const y = yRange[0] + ((bottom - py) / (bottom - top)) * (yRange[1] - yRange[0]);
  moveStart(header.dimension === 1 ? [x] : [x, y], moving);
}
function connectLaboratory() {
  element("surface").replaceChildren(...shell.surfaces.map((name) => option(name, name)), option(EXPRESSION, EXPRESSION));
  element("method").replaceChildren(...Object.keys(shell.optimizers).map((name) => option(name, name)));
  on("surface", "change", (event) => {
    element("expression-field").hidden = event.target.value !== EXPRESSION;
    if (event.target.value === EXPRESSION) element("expression").focus();
    else chooseSurface(event.target.value);
  });
  on("expression", "change", (event) => { if (event.target.value.trim()) chooseSurface(event.target.value.trim()); });
  on("method", "change", (event) => chooseMethod(event.target.value));
  on("fit", "click", () => request({ fit: true }));
  for (const [id, path, type] of [["save-configuration", "/configuration", "text/yaml"], ["save-page", "/page", "text/html"]]) {
    on(id, "click", async () => {
      const saved = await post(path, question({}));
      if (!saved) return;
      const href = URL.createObjectURL(new Blob([saved.content], { type }));
      create("a", { href, download: saved.name }).click();
      setTimeout(() => URL.revokeObjectURL(href), 10_000);
    });
  }
  for (const pin of ["a", "b"]) {
    on(`pin-${pin}`, "click", () => {
      const own = shell.optimizers[laboratory.settings.optimizer];
      laboratory.pins[pin] = { optimizer: laboratory.settings.optimizer };
      for (const key of own) if (laboratory.settings[key]) laboratory.pins[pin][key] = laboratory.settings[key];
      blocks[0].axes.forEach((axis, i) => {
        if (own.includes(axis.name)) laboratory.pins[pin][axis.name] = axis.values[state.index[i]];
      });
      request({});
    });
  }
  on("unpin", "click", () => { laboratory.pins = { a: null, b: null }; request({}); });

  const path = element("path");
  path.tabIndex = 0;
  path.setAttribute("role", "application");
  path.setAttribute("aria-label", "Trajectory over contours of the loss. Drag, or use the arrow keys, to move the start.");
  path.classList.add("draggable");
  const canDrag = () => header && header.dimension <= 2;
  on("path", "pointerdown", (event) => {
    if (!canDrag()) return;
    isDragging = true; path.setPointerCapture(event.pointerId); startAt(event, true);
  });
  on("path", "pointermove", (event) => { if (isDragging) startAt(event, true); });
  for (const type of ["pointerup", "pointercancel"]) {
    on("path", type, (event) => { if (isDragging) { isDragging = false; startAt(event, false); } });
  }
  on("path", "keydown", (event) => {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!steps || !canDrag() || (header.dimension === 1 && steps[0] === 0)) return;
    event.preventDefault();
    const own = blocks[0], trial = mainTrial(current());
    moveStart(Array.from({ length: header.dimension }, (_, c) => {
      const [low, high] = header.window[c];
      return Math.min(Math.max(position(own, trial, 0, c) + (steps[c] * (high - low)) / 50, low), high);
    }), false);
  });
}

// ---- begin ------------------------------------------------------------------------------------------------------

// The address keeps the token and the settings, so that the page can be reloaded.
writeHash = (parts) => {
  parts.set("token", token);
  parts.set("l", JSON.stringify([laboratory.settings, laboratory.pins, laboratory.chosen]));
  parts.delete("a"); parts.delete("b");
  try { history.replaceState(null, "", `#${parts}`); } catch { /* a sandboxed frame has no history */ }
};
try {
  [laboratory.settings, laboratory.pins, laboratory.chosen] = JSON.parse(given.get("l"));
} catch { /* a new page */ }
live.request = () => {
  blocks[0].axes.forEach((axis, i) => { laboratory.chosen[axis.name] = axis.values[state.index[i]]; });
  request({});
};
readColors(); readHash(); connectControls(); connectLaboratory(); showChoices();
request({ map: true, reset: true });
