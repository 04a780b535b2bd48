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
  return logTicks(low, high);
}

// The index of the cell of the map in a column and a row.
function mapIndex(own, column, row) {
  const index = [...state.index];
  if (own.shape.length) index[state.x] = column;
  if (own.shape.length > 1) index[state.y] = row;
  return index;
}

let mapPlace = null;  // where cells are: for marks, theory and the pointer
function drawMap() {
  const own = blocks[state.block];
  element("map-figure").hidden = own.axes.length === 0;
  if (!own.axes.length) return;
  const panel = frame("map", 78), { context } = panel;
  const xAxis = own.axes[state.x], yAxis = own.axes.length > 1 ? own.axes[state.y] : null;
  const columns = cellsOf(xAxis), rows = cellsOf(yAxis);
  const ends = (edges) => [edges[0], edges[edges.length - 1]];
  const { x, y } = scales(panel, ends(columns.edges), ends(rows.edges));

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
  const color = (value) => (Number.isFinite(value) ? `rgb(${viridis(high > low ? (high - value) / (high - low) : 0.5)})` : colors.line);

  // Two axes make a map with a scale of colours, one axis makes a curve.
  const margin = 0.04 * (high - low) || 0.5, range = [low - margin, high + margin];
  const ticks = finite.length ? (isLog ? logTicks : niceTicks)(...range, 6) : [];
  const name = quantities[state.quantity] + (isLog && header.lossFloor !== 0 ? ` above ${short(header.lossFloor)}` : "");
  const height = scales(panel, [0, 1], range).y;
  mapPlace = { columns, rows, x, y, at: (column, row) => [x(columns.centers[column]),
    yAxis ? y(rows.centers[row]) : Number.isFinite(cells[column].value) ? height(Math.min(cells[column].value, high)) : panel.top] };
  if (yAxis) {
    for (const { column, row, value } of cells) {
      context.fillStyle = color(value);
      const left = x(columns.edges[column]), bottom = y(rows.edges[row]);
      context.fillRect(left, bottom + 0.3, x(columns.edges[column + 1]) - left + 0.6, y(rows.edges[row + 1]) - bottom - 0.6);
    }
    drawAxes(panel, { x, y }, columns.ticks, rows.ticks, xAxis.label, yAxis.label);
    if (low < high) drawColorBar(panel, color, low, high, ticks, name);
  } else {
    drawAxes(panel, { x, y: height }, columns.ticks, ticks, xAxis.label, name);
    clipped(panel, () => {
      context.strokeStyle = colors.own; context.lineWidth = 1.5; context.beginPath();
      for (const { column } of cells) context.lineTo(...mapPlace.at(column, 0));
      context.stroke();
    });
  }
  if (own.predictedRate) clipped(panel, () => drawTheory(panel, own, yAxis ? "#fff" : colors.quiet));
  for (const [pin, letter] of [["a", "A"], ["b", "B"]]) if (state.pins[pin]) drawMark(context, state.pins[pin], letter);
  drawMark(context, selected(), "");

  const words = yAxis ? { bright: "brightest", dark: "darkest", grey: "grey" } : { bright: "lowest", dark: "top", grey: "top" };
  const lowest = short(isLog ? 10 ** low + header.lossFloor : low);
  const parts = [!finite.length ? "every setting diverged" : low === high ? `${lowest} everywhere` : `${words.bright}: ${lowest}`];
  if (high < worst) parts.push(`${words.dark}: the loss of the start, or more`);
  if (finite.length && finite.length < cells.length) parts.push(`${words.grey}: diverged or undefined`);
  if (own.predictedRate) parts.push("orange line: stability limit; dotted: oscillation begins; +: best predicted rate");
  element("map-legend").textContent = parts.join("; ");
}
function drawColorBar({ context, right, top, bottom }, color, low, high, ticks, name) {
  const left = right + 10, { y } = scales({ left, right, top, bottom }, [0, 1], [low, high]);
  for (let at = top; at < bottom; at++) {
    context.fillStyle = color(low + ((bottom - at) / (bottom - top)) * (high - low));
    context.fillRect(left, at, 10, 1.5);
  }
  context.fillStyle = colors.ink; context.textAlign = "left"; context.textBaseline = "middle";
  for (const { at, text } of ticks) if (at >= low && at <= high) context.fillText(text, left + 13, y(at), 36);
  context.save(); context.translate(left + 60, (top + bottom) / 2); context.rotate(-Math.PI / 2);
  context.fillStyle = colors.quiet; context.textAlign = "center"; context.fillText(name, 0, 0, bottom - top);
  context.restore();
}
function drawMark(context, { block, index }, name) {
  if (block !== state.block) return;
  const [cx, cy] = mapPlace.at(index[state.x], mapPlace.rows.centers.length > 1 ? index[state.y] : 0);
  context.lineWidth = 4; context.strokeStyle = "#fff"; context.beginPath(); context.arc(cx, cy, 8, 0, 7); context.stroke();
  context.lineWidth = 2; context.strokeStyle = "#000"; context.stroke();
  context.textAlign = "center"; context.textBaseline = "middle"; context.lineWidth = 3; context.strokeStyle = "#fff";
  context.strokeText(name, cx, cy); context.fillStyle = "#000"; context.fillText(name, cx, cy);
}

// Return the segments of a contour through the centres of the cells, by marching squares; for one axis vertical lines.
//   isAbove(column, row): on which side of the contour a cell is
//   share(column, row, axis): where the contour crosses the way to the next cell on an axis (0: x, 1: y), from 0 to 1
function contour({ top, bottom }, isAbove, share) {
  const { x, y, columns: { centers: xs }, rows: { centers: ys } } = mapPlace, segments = [];
  const along = (c, r) => x(xs[c] + share(c, r, 0) * (xs[c + 1] - xs[c]));
  for (let column = 0; column + 1 < xs.length; column++) {
    if (ys.length === 1 && isAbove(column, 0) !== isAbove(column + 1, 0)) {
      segments.push([[along(column, 0), top], [along(column, 0), bottom]]);
    }
    for (let row = 0; row + 1 < ys.length; row++) {
      const crossings = [];
      for (const [c, r, axis] of [[column, row, 0], [column + 1, row, 1], [column, row + 1, 0], [column, row, 1]]) {
        if (isAbove(c, r) === (axis ? isAbove(c, r + 1) : isAbove(c + 1, r))) continue;
        crossings.push(axis ? [x(xs[c]), y(ys[r] + share(c, r, 1) * (ys[r + 1] - ys[r]))] : [along(c, r), y(ys[r])]);
      }
      for (let i = 0; i + 1 < crossings.length; i += 2) segments.push([crossings[i], crossings[i + 1]]);
    }
  }
  return segments;
}
function drawTheory(panel, own, dots) {
  const { context } = panel, settings = own.predictedRate.length, cell = (column, row) => cellOf(own, mapIndex(own, column, row));
  // Where a direction begins to oscillate: interpolated between cells, and dotted.
  context.fillStyle = dots;
  own.curvatures.forEach((_, direction) => {
    const value = (c, r) => own.discriminants[direction * settings + cell(c, r)];
    const share = (c, r, axis) => value(c, r) / (value(c, r) - (axis ? value(c, r + 1) : value(c + 1, r)));
    for (const [[ax, ay], [bx, by]] of contour(panel, (c, r) => value(c, r) < 0, share)) {
      const count = Math.max(1, Math.round(Math.hypot(bx - ax, by - ay) / 6));
      for (let i = 0.5; i < count; i++) {
        context.beginPath(); context.arc(ax + (i / count) * (bx - ax), ay + (i / count) * (by - ay), 1.4, 0, 7); context.fill();
      }
    }
  });
  // The stability limit: its crossings are exact.
  context.beginPath();
  for (const [from, to] of contour(panel, (c, r) => own.isUnstable[cell(c, r)] === 1, (c, r, axis) => {
    const exact = own.crossings[(axis ? state.y : state.x) * settings + cell(c, r)];
    return Number.isFinite(exact) ? exact : 0.5;
  })) {
    context.moveTo(...from); context.lineTo(...to);
  }
  context.lineWidth = 4; context.strokeStyle = "#fff"; context.stroke();
  context.lineWidth = 2; context.strokeStyle = "#d55e00"; context.stroke();
  let best = { rate: Infinity };
  mapPlace.rows.centers.forEach((_, row) => mapPlace.columns.centers.forEach((__, column) => {
    const rate = own.predictedRate[cell(column, row)];
    if (rate < best.rate) best = { rate, at: mapPlace.at(column, row) };
  }));
  context.font = "bold 18px system-ui, sans-serif"; context.textAlign = "center"; context.textBaseline = "middle";
  context.lineWidth = 3; context.strokeStyle = "#fff"; context.strokeText("+", ...best.at);
  context.fillStyle = "#d55e00"; context.fillText("+", ...best.at);
  context.font = "12px system-ui, sans-serif";
}
