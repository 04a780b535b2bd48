// The map of all settings over two axes, with the predictions of theory.

const VIRIDIS = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b",
  "#fde725"].map(rgb);
function viridis(share) {
  const where = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1), i = Math.min(Math.floor(where), VIRIDIS.length - 2);
  return VIRIDIS[i].map((value, c) => Math.round(value + (where - i) * (VIRIDIS[i + 1][c] - value)));
}

// The places of the cells of an axis: their centres, and the edges halfway between them.
function cellsOf(axis) {
  if (!axis) return { centers: [0], edges: [-0.5, 0.5], ticks: [] };
  const centers = axis.places, n = centers.length, edges = [];
  for (let i = 1; i < n; i++) edges.push((centers[i - 1] + centers[i]) / 2);
  edges.unshift(2 * centers[0] - edges[0]);
  edges.push(2 * centers[n - 1] - edges[n - 1]);
  return { centers, edges, ticks: ticksOf(axis, edges[0], edges[n]) };
}
function ticksOf(axis, low, high) {
  if (axis.scale === "linear") return niceTicks(low, high, 5);
  if (axis.scale === "index") {
    const every = Math.ceil(axis.values.length / 5);
    return axis.values.map((text, at) => ({ at, text: text.slice(0, 12) })).filter(({ at }) => at % every === 0);
  }
  const multiples = high - low > 4 ? [1] : high - low > 1.5 ? [1, 3] : [1, 2, 5], ticks = [];
  for (let power = Math.floor(low); power <= high; power++) {
    for (const m of multiples) ticks.push({ at: power + Math.log10(m), text: short(m * 10 ** power, 3) });
  }
  return ticks.filter(({ at }) => at >= low && at <= high);
}

// The index of the cell of the map in a column and a row.
function mapIndex(own, column, row) {
  const index = [...state.index];
  if (own.shape.length) index[state.x] = column;
  if (own.shape.length > 1) index[state.y] = row;
  return index;
}

let mapPlace = null;  // for the pointer
function drawMap() {
  const own = blocks[state.block];
  element("map-figure").hidden = own.axes.length === 0;
  if (!own.axes.length) return;
  const panel = frame("map"), { context } = panel;
  const xAxis = own.axes[state.x], yAxis = own.axes.length > 1 ? own.axes[state.y] : null;
  const columns = cellsOf(xAxis), rows = cellsOf(yAxis);
  const ends = (edges) => [edges[0], edges[edges.length - 1]];
  const { x, y } = scales(panel, ends(columns.edges), ends(rows.edges));
  mapPlace = { panel, columns, rows, x, y };

  // Values: logarithmic for losses; NaN is grey.
  const isLog = state.quantity === "finalLoss", isRate = state.quantity.endsWith("Rate"), cells = [];
  for (let row = 0; row < rows.centers.length; row++) {
    for (let column = 0; column < columns.centers.length; column++) {
      const index = mapIndex(own, column, row), trial = mainTrial({ block: state.block, index, start: state.start });
      const value = own[state.quantity][state.quantity === "predictedRate" ? cellOf(own, index)
        : state.quantity === "measuredRate" ? rowOf(own, trial) : trial];
      const isUndefined = !isRate && header.statuses[own.status[trial]] === "diverged";
      const shown = isLog ? Math.log10(Math.max(value - header.lossFloor, 10 ** header.logLoss[0])) : value;
      cells.push({ column, row, value: isUndefined ? NaN : shown });
    }
  }
  const finite = cells.map(({ value }) => value).filter(Number.isFinite);
  const low = Math.min(...finite), worst = Math.max(...finite);
  // Losses above that of the start share the darkest colour: they would hide the differences below it.
  const first = logLoss(blocks[current().block], mainTrial(current()), 0);
  const high = isLog && low < first ? Math.min(worst, first) : worst;
  for (const { column, row, value } of cells) {
    context.fillStyle = Number.isFinite(value) ? `rgb(${viridis(high > low ? (high - value) / (high - low) : 0.5)})` : colors.line;
    const left = x(columns.edges[column]), bottom = y(rows.edges[row]);
    context.fillRect(left, bottom + 0.3, x(columns.edges[column + 1]) - left + 0.6, y(rows.edges[row + 1]) - bottom - 0.6);
  }
  drawAxes(panel, { x, y }, columns.ticks, rows.ticks, xAxis.label, yAxis ? yAxis.label : "");
  const hasTheory = own.predictedRate && yAxis;
  if (hasTheory) clipped(panel, () => drawTheory(context, own, columns.centers, rows.centers, x, y));
  for (const [pin, name] of [["a", "A"], ["b", "B"]]) if (state.pins[pin]) drawMark(context, state.pins[pin], name);
  drawMark(context, selected(), "");

  const ofScale = (value) => (isLog ? short(10 ** value + header.lossFloor, 3) : short(value));
  const parts = !finite.length ? ["every setting diverged"] : low === high ? [`${ofScale(low)} everywhere`]
    : [`bright ${ofScale(low)}, dark ${ofScale(high)}${high < worst ? " (the start) or more" : ""}`];
  if (finite.length < cells.length) parts.push("grey: diverged or undefined");
  if (hasTheory) parts.push("orange line: stability limit; dashed: oscillation begins; +: best predicted rate");
  element("map-legend").textContent = parts.join("; ");
}
function drawMark(context, { block, index }, name) {
  if (block !== state.block) return;
  const { columns, rows, x, y } = mapPlace;
  const cx = x(columns.centers[index[state.x]]), cy = y(rows.centers.length > 1 ? rows.centers[index[state.y]] : 0);
  context.lineWidth = 4; context.strokeStyle = "#fff"; context.beginPath(); context.arc(cx, cy, 8, 0, 7); context.stroke();
  context.lineWidth = 2; context.strokeStyle = "#000"; context.stroke();
  context.textAlign = "center"; context.textBaseline = "middle"; context.lineWidth = 3; context.strokeStyle = "#fff";
  context.strokeText(name, cx, cy); context.fillStyle = "#000"; context.fillText(name, cx, cy);
}

// Draw a contour through the centres of the cells by marching squares.
//   isAbove(column, row): on which side of the contour a cell is
//   share(column, row, axis): where the contour crosses the way to the next cell on an axis (0: x, 1: y), from 0 to 1
function contour(context, xs, ys, x, y, isAbove, share) {
  context.beginPath();
  for (let row = 0; row + 1 < ys.length; row++) {
    for (let column = 0; column + 1 < xs.length; column++) {
      const crossings = [];
      for (const [c, r, axis] of [[column, row, 0], [column + 1, row, 1], [column, row + 1, 0], [column, row, 1]]) {
        if (isAbove(c, r) === (axis ? isAbove(c, r + 1) : isAbove(c + 1, r))) continue;
        const t = share(c, r, axis);
        crossings.push(axis ? [x(xs[c]), y(ys[r] + t * (ys[r + 1] - ys[r]))] : [x(xs[c] + t * (xs[c + 1] - xs[c])), y(ys[r])]);
      }
      for (let i = 0; i + 1 < crossings.length; i += 2) {
        context.moveTo(...crossings[i]); context.lineTo(...crossings[i + 1]);
      }
    }
  }
}
function drawTheory(context, own, xs, ys, x, y) {
  const settings = own.predictedRate.length, cell = (column, row) => cellOf(own, mapIndex(own, column, row));
  context.setLineDash([6, 4]); context.strokeStyle = "#fff"; context.lineWidth = 1.6;
  own.curvatures.forEach((_, direction) => {
    const value = (c, r) => own.discriminants[direction * settings + cell(c, r)];
    contour(context, xs, ys, x, y, (c, r) => value(c, r) < 0, (c, r, axis) => {
      const here = value(c, r), next = axis ? value(c, r + 1) : value(c + 1, r);
      return here / (here - next);
    });
    context.stroke();
  });
  context.setLineDash([]);
  // The crossings of the stability limit are exact; those of oscillation are interpolated.
  contour(context, xs, ys, x, y, (c, r) => own.isUnstable[cell(c, r)] === 1, (c, r, axis) => {
    const exact = own.crossings[(axis ? state.y : state.x) * settings + cell(c, r)];
    return Number.isFinite(exact) ? exact : 0.5;
  });
  context.lineWidth = 4; context.strokeStyle = "#fff"; context.stroke();
  context.lineWidth = 2; context.strokeStyle = "#d55e00"; context.stroke();
  let best = { rate: Infinity };
  for (let row = 0; row < ys.length; row++) {
    for (let column = 0; column < xs.length; column++) {
      const rate = own.predictedRate[cell(column, row)];
      if (rate < best.rate) best = { rate, at: [x(xs[column]), y(ys[row])] };
    }
  }
  context.font = "bold 18px system-ui, sans-serif"; context.textAlign = "center"; context.textBaseline = "middle";
  context.lineWidth = 3; context.strokeStyle = "#fff"; context.strokeText("+", ...best.at);
  context.fillStyle = "#d55e00"; context.fillText("+", ...best.at);
  context.font = "12px system-ui, sans-serif";
}
