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

/** The validated networks: metric before and after fine-tuning with its error, against size, latency or score. */
function drawValidation() {
  const found = data.validation;
  if (!found) return;
  const key = $("validation-x").value;
  const kib = key === "size_bytes" ? 1024 : 1;
  const over = (value) => (value === null || value === undefined ? null : value / kib);
  const up = (value) => (value === null ? null : found.factor * value);
  const xs = validated.map((network) => over(network[key]));
  const keys = validated.map((network) => keyOf(network.id));
  const texts = validated.map((network) => [`<b>${plain(network.id)}</b>`, ...network.facts.map(([name, value]) => `${plain(name)}: ${plain(value)}`)].join("<br>"));
  const trace = (name, part, more) => ({
    name, mode: "markers", x: xs, y: validated.map((network) => up(network[part])), text: texts, customdata: keys,
    hovertemplate: "%{text}<extra></extra>", ...more,
  });
  const bars = { type: "data", array: validated.map((network) => up(network.error) ?? 0), color: colour("valid"), thickness: 1.5, width: 4 };
  const traces = [
    trace("before fine-tuning", "before", { marker: { size: 9, symbol: "circle-open", color: colour("soft"), line: { width: 2 } } }),
    trace("after fine-tuning", "after", { marker: { size: 10, color: colour("valid") }, ...(found.error ? { error_y: bars } : {}) }),
  ];
  if (key === "score" && found.random[0].length) {
    traces.unshift({
      name: "random networks, search images", mode: "markers", hoverinfo: "skip", x: found.random[0], y: found.random[1].map(up),
      marker: { size: 6, symbol: "x", color: colour("evaluated") },
    });
  }
  const int8 = data.baselines.find((baseline) => baseline.name === "teacher_int8");
  const at = columns.findIndex((column) => column.name === "score");
  const x = found.int8 && (key === "score" ? (int8 && at >= 0 ? int8.values[at] : null) : over(found.int8[key]));
  if (found.int8 && x !== null) {
    traces.push({
      name: "teacher INT8, same fine-tuning", mode: "markers", x: [x], y: [up(found.int8.after)],
      hovertemplate: `teacher INT8: %{y:${found.format}} ${plain(found.unit)}<extra></extra>`, marker: { size: 12, symbol: "square", color: colour("baseline") },
    });
  }
  const label = { score: "score, predicted (less is better)", size_bytes: "size, KiB (less is better)", latency_ms: "latency, ms (less is better)" }[key];
  const log = key === "score" && decades([...xs, ...found.random[0]]);
  const best = validated.findIndex((network) => network.id === found.best);
  const named = best < 0 || xs[best] === null ? [] : [{
    x: log ? Math.log10(xs[best]) : xs[best], y: up(validated[best].after + (validated[best].error ?? 0)), text: `best: ${plain(found.best)}`,
    showarrow: false, yanchor: "bottom", yshift: found.error ? 3 : 8, font: { size: 12 },
  }];
  $("validation-note").textContent = found.error ? `Bars: ${found.error}. A click shows the network below.` : "A click shows the network below.";
  Plotly.react($("validation-chart"), traces, layout({
    xaxis: axis(label, { type: log ? "log" : "linear", rangemode: log ? "normal" : "tozero" }), yaxis: axis(found.label), annotations: named,
  }), CONFIG);
}

function walk(by) {
  const rows = byColumn(within(), state.x, false);
  if (!rows.length) return;
  const at = rows.indexOf(state.pinned);
  pin(at < 0 ? (rows.includes(first) ? first : rows[0]) : rows[Math.min(Math.max(at + by, 0), rows.length - 1)]);
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

/** What each operator is, and no such list where none is known. */
function drawOperators() {
  const known = data.operators.filter((name) => data.about[name]);
  $("operators").hidden = !known.length;
  $("operators").querySelector("dl").append(...known.flatMap((name) => [make("dt", name), make("dd", data.about[name])]));
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
  if (data.validation) $("validation-chart").on("plotly_click", (event) => { if (key(event) !== undefined) pin(key(event)); });
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
    drawOperators();
    if (data.validation) $("validation-x").addEventListener("change", drawValidation);
    start(() => { drawFront(); if (!document.documentElement.dataset.ready) listen(); });
  } else start(drawHistory);
}
