/** How the search went, the validated networks, and what ties keys and buttons to all charts. */
function drawHistory() {
  const { history } = data;
  const last = history.share.length - 1;
  if (last < 0) { $("history").hidden = true; return; }
  const reached = history.of === "exact front" ? `; the front has ${(Math.floor(1e5 * history.share[last]) / 1e3).toFixed(3)} % of the exact front's hypervolume` : "";
  $("history-note").textContent = `${number(history.feasible[last])} of ${number(history.evaluations[last])} evaluations met all limits${reached}. `
    + `Objectives are scaled to the final front's range, the reference point is ${history.reference} in each.`;
  Plotly.react($("history-chart"), [{
    mode: "lines+markers", x: history.evaluations, y: history.share, line: { color: colour("front"), width: 2 }, marker: { size: 4 },
    hovertemplate: "%{x} evaluations: %{y:.5f}<extra></extra>",
  }], layout({ xaxis: axis("evaluations"), yaxis: axis(`share of the ${history.of}'s hypervolume`) }), CONFIG);
}

function drawValidation() {
  const found = data.validation;
  if (!found) return;
  const key = $("validation-x").value;
  const kib = key === "size_bytes" ? 1024 : 1;
  const xs = found.networks.map((network) => (network[key] === null ? null : network[key] / kib));
  const scaled = (part) => found.networks.map((network) => (network[part] === null ? null : found.factor * network[part]));
  const shown = `%{y:${found.format}} ${plain(found.unit)}<extra></extra>`;
  const ids = found.networks.map((network) => plain(network.id));
  const trace = (name, part, marker) => ({
    name, mode: "markers", x: xs, y: scaled(part), text: ids, hovertemplate: `%{text}: ${shown}`, marker,
  });
  const traces = [trace("before fine-tuning", "before", { size: 9, symbol: "circle-open", color: colour("front"), line: { width: 2 } }),
    trace("after fine-tuning", "after", { size: 10, color: colour("valid") })];
  if (key === "score" && found.random[0].length) {
    traces.unshift({
      name: "random networks, search images", mode: "markers", hoverinfo: "skip", x: found.random[0], y: found.random[1].map((v) => found.factor * v),
      marker: { size: 6, symbol: "x", color: colour("evaluated") },
    });
  }
  if (found.int8) {
    const baseline = data.baselines.find((b) => b.name === "teacher_int8");
    const at = columns.findIndex((column) => column.name === "score");
    const x = key === "size_bytes" ? found.int8.size_bytes / kib : baseline && at >= 0 ? baseline.values[at] : null;
    traces.push({
      name: "teacher INT8, same fine-tuning", mode: "markers", x: [x], y: [found.factor * found.int8.after],
      hovertemplate: `teacher INT8: ${shown}`, marker: { size: 12, symbol: "square", color: colour("baseline") },
    });
  }
  const label = key === "score" ? "predicted score (less is better)" : "size of the packed network, KiB";
  const log = key === "score" && decades([...xs, ...found.random[0]]);
  Plotly.react($("validation-chart"), traces, layout({
    xaxis: axis(label, { type: log ? "log" : "linear" }), yaxis: axis(found.label),
  }), CONFIG);
}

function walk(by) {
  const rows = byColumn(within(), state.x, false);
  if (!rows.length) return;
  const at = rows.indexOf(state.pinned);
  pin(at < 0 ? (rows.includes(data.knee) ? data.knee : rows[0]) : rows[Math.min(Math.max(at + by, 0), rows.length - 1)]);
}

function fillSelects() {
  for (const [id, key] of [["axis-x", "x"], ["axis-y", "y"], ["axis-colour", "colour"]]) {
    if (key === "colour") $(id).append(option(-1, "none"));
    columns.forEach((column, c) => $(id).append(option(c, words(column))));
    $(id).value = state[key];
    $(id).addEventListener("change", () => { state[key] = Number($(id).value); drawChart(); drawMap(); });
  }
  if (!data.choices) { $("blocks").hidden = true; return; }
  const known = (part) => data.choices.some((block) => block.some((choice) => choice[part]));
  const kinds = ["operator", ...(known(1) ? ["weight bits"] : []), ...(known(2) ? ["activation bits"] : [])];
  kinds.forEach((kind) => $("map-kind").append(option(kind, kind)));
  $("map-kind").addEventListener("change", () => { state.map = $("map-kind").value; drawMap(); });
}

function listen() {
  const chart = $("chart");
  const key = (event) => event.points[0].customdata;
  chart.on("plotly_hover", (event) => { state.hovered = key(event) ?? null; if (state.pinned === null) drawCard(); });
  chart.on("plotly_click", (event) => { if (key(event) !== undefined) pin(key(event) === state.pinned ? null : key(event)); });
  chart.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) { walk(by); event.preventDefault(); } else if (event.key === "Escape") pin(null);
  });
  if (data.choices) $("map").on("plotly_click", (event) => pin($("map").rows[event.points[0].x]));
  $("reset-zoom").addEventListener("click", () => drawChart(true));
  $("reset-limits").addEventListener("click", () => { drawSliders(); changed(); });
  $("reset-preference").addEventListener("click", () => { drawPreference(); prefer(); });
  $("more").addEventListener("click", () => { state.rows += 200; drawTable(); });
  $("download").addEventListener("click", download);
}

function drawFront() {
  drawChart();
  drawMap();
  drawHistory();
  drawValidation();
}

if (data.columns) {
  if (count) {
    fillSelects();
    drawSliders();
    drawPreference();
    drawCount();
    drawTable();
    drawCard();
    if (data.validation) $("validation-x").addEventListener("change", drawValidation);
    start(() => { drawFront(); if (!document.documentElement.dataset.ready) listen(); });
  } else start(drawHistory);
}
