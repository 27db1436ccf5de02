/** The front: chart, limits, network card, table, block map. */
const columns = data.columns || [];
const count = data.row ? data.row.length : 0;
const PAGE = 50;
const state = {
  x: 0, y: Math.min(1, columns.length - 1), colour: data.objectives > 2 ? 2 : -1, limits: [], pinned: null, hovered: null,
  sort: 0, down: false, rows: PAGE, map: "operator",
};

const title = (key) => (typeof key === "string" ? data.baselines[Number(key.slice(1))].name : `Network ${data.row[key]}`);
const genomeOf = (key) => (typeof key === "string" ? data.baselines[Number(key.slice(1))].genome : data.genome[key]);
const valueOf = (key, c) => (typeof key === "string" ? data.baselines[Number(key.slice(1))].values[c] : columns[c].values[key]);
const words = (column) => column.label;

/** Operator and bits of a choice in words, as in the CSV files of the command line. */
function choiceWords(block, choice) {
  if (!data.choices) return String(choice);
  const [operator, weight, activation] = data.choices[block][choice];
  return operator + (weight ? ` w${weight}` : "") + (activation ? ` a${activation}` : "");
}

function meets(index) {
  return columns.every((column, c) => {
    const limit = state.limits[c];
    const value = column.values[index];
    if (limit === null || limit === undefined || value === null) return true;
    return column.maximize ? value >= limit : value <= limit;
  });
}

/** The networks within the limits. */
function within() {
  const found = [];
  for (let index = 0; index < count; index += 1) if (meets(index)) found.push(index);
  return found;
}

function byColumn(rows, c, down) {
  const values = c < 0 ? data.row : columns[c].values;
  return [...rows].sort((a, b) => (down ? values[b] - values[a] : values[a] - values[b]) || a - b);
}

function hoverText(index) {
  const lines = columns.slice(0, Math.max(data.objectives, 2)).map((c) => `${plain(words(c))}: ${number(c.values[index], c.divisor)}`);
  const blocks = data.genome[index].slice(0, 8).map((choice, b) => `${plain(data.blocks[b])}: ${plain(choiceWords(b, choice))}`);
  if (data.blocks.length > 8) blocks.push(`… ${data.blocks.length - 8} more blocks`);
  const id = data.ids[index] ? ` (${plain(data.ids[index])})` : "";
  return [`<b>${title(index)}</b>${id}`, ...lines, "", ...blocks].join("<br>");
}

const scaled = (c, values) => values.map((value) => (value === null ? null : value / columns[c].divisor));

function stairs(xs, ys) {
  const order = xs.map((_, i) => i).sort((a, b) => xs[a] - xs[b]);
  return [order.map((i) => xs[i]), order.map((i) => ys[i])];
}

/** Evaluated networks and the exact front, where both axes are objectives. */
function backdrop() {
  const { x, y } = state;
  if (Math.max(x, y) >= data.objectives) return [];
  const traces = [];
  if (data.evaluated.length && data.evaluated[0].length) {
    traces.push({
      name: "evaluated", mode: "markers", hoverinfo: "skip", x: scaled(x, data.evaluated[x]), y: scaled(y, data.evaluated[y]),
      marker: { size: 3, color: colour("evaluated") },
    });
  }
  if (data.exact) {
    const [xs, ys] = stairs(scaled(x, data.exact[x]), scaled(y, data.exact[y]));
    const line = data.objectives === 2;
    // The corner lies on the worse side of x.
    const shape = columns[x].maximize ? "vh" : "hv";
    traces.push({
      name: `exact front (${number(data.exact_points)})`, mode: line ? "lines" : "markers", hoverinfo: "skip", x: xs, y: ys,
      line: { shape, width: 1, color: colour("exact") }, marker: { size: 3, color: colour("evaluated"), symbol: "x" },
    });
  }
  return traces;
}

function frontTrace(rows) {
  const { x, y, colour: c } = state;
  const pick = (column) => scaled(column, rows.map((i) => columns[column].values[i]));
  const marker = { size: 7, color: colour("front"), line: { width: 0.5, color: colour("paper") } };
  if (c >= 0) {
    const log = decades(columns[c].values);
    const values = pick(c).map((value) => (log ? Math.log10(value) : value));
    const place = narrow.matches ? { orientation: "h", y: 1.02, yanchor: "bottom" } : {};
    const bar = { title: { text: plain(words(columns[c])), side: narrow.matches ? "top" : "right" }, thickness: 12, outlinewidth: 0, ...place };
    if (log) Object.assign(bar, logTicks(values));
    Object.assign(marker, { color: values, colorscale: "Cividis", showscale: true, colorbar: bar });
    marker.line = { width: 0.5, color: colour("soft") };
  }
  return {
    name: `front (${number(rows.length)})`, mode: "markers", x: pick(x), y: pick(y), customdata: rows,
    text: rows.map(hoverText), hovertemplate: "%{text}<extra></extra>", marker,
  };
}

function logTicks(values) {
  const tickvals = [];
  for (let p = Math.ceil(Math.min(...values)); p <= Math.max(...values); p += 1) tickvals.push(p);
  return { tickvals, ticktext: tickvals.map((p) => String(Number((10 ** p).toPrecision(1)))) };
}

function markers() {
  const { x, y } = state;
  const traces = [];
  const ids = Object.keys(data.ids).map(Number).filter(meets);
  if (ids.length) {
    traces.push({
      name: "validated", mode: "markers", hoverinfo: "skip", x: scaled(x, ids.map((i) => columns[x].values[i])),
      y: scaled(y, ids.map((i) => columns[y].values[i])),
      marker: { size: 14, symbol: "circle-open", color: colour("valid"), line: { width: 2.5 } },
    });
  }
  data.baselines.forEach((baseline, b) => {
    traces.push({
      name: plain(baseline.name), mode: "markers", customdata: [`b${b}`], x: scaled(x, [baseline.values[x]]),
      y: scaled(y, [baseline.values[y]]), hovertemplate: `<b>${plain(baseline.name)}</b><extra></extra>`,
      marker: { size: 12, symbol: ["square", "diamond", "triangle-up", "triangle-down", "cross", "x"][b % 6], color: colour("baseline") },
    });
  });
  const key = state.pinned;
  if (key !== null) {
    traces.push({
      name: "pinned", mode: "markers", hoverinfo: "skip", showlegend: false, x: scaled(x, [valueOf(key, x)]), y: scaled(y, [valueOf(key, y)]),
      marker: { size: 20, symbol: "circle-open", color: colour("pin"), line: { width: 3 } },
    });
  }
  return traces;
}

function drawChart(reset = false) {
  const { x, y } = state;
  const known = (c) => [...columns[c].values, ...data.baselines.map((b) => b.values[c])];
  const chart = $("chart");
  const kind = (c) => (decades(known(c)) ? "log" : "linear");
  const zoom = reset ? Math.random() : `${x} ${y}`;
  const shape = layout({
    xaxis: axis(words(columns[x]), { type: kind(x) }), yaxis: axis(words(columns[y]), { type: kind(y) }), uirevision: zoom,
    showlegend: true,
  });
  Plotly.react(chart, [...backdrop(), frontTrace(within()), ...markers()], shape, CONFIG);
}

function shown() {
  return state.pinned ?? state.hovered ?? data.knee;
}

/** The card of the pinned network, else of the one pointed at, else of the knee. */
function drawCard() {
  const card = $("network");
  const key = shown();
  card.replaceChildren();
  if (key === null) return;
  const id = data.ids[key] ? ` · ${data.ids[key]}` : "";
  const why = key === state.pinned ? " (pinned)" : key === state.hovered ? "" : " (the knee of the front)";
  card.append(make("h3", title(key) + id + why));
  if (key === state.pinned) {
    const button = make("button", "Unpin");
    button.type = "button";
    button.id = "unpin";
    button.addEventListener("click", () => { pin(null); $("chart").focus(); });
    card.append(button);
  }
  const list = make("dl");
  columns.forEach((column, c) => {
    const value = valueOf(key, c);
    list.append(make("dt", words(column)), make("dd", number(value, column.divisor) + against(value, c, key)));
  });
  card.append(list);
  if (data.baselines.length && key !== "b0") {
    const note = make("p", `In brackets: against ${data.baselines[0].name}.`);
    note.className = "hint";
    card.append(note);
  }
  card.append(blockTable(genomeOf(key)));
  const code = make("p", "genome ");
  code.append(make("code", `[${genomeOf(key).join(", ")}]`));
  card.append(code);
}

/** How a value differs from the first baseline's. */
function against(value, c, key) {
  const baseline = data.baselines[0];
  if (!baseline || key === "b0" || value === null || !baseline.values[c]) return "";
  const share = value / baseline.values[c] - 1;
  if (!Number.isFinite(share) || Math.abs(share) > 9) return "";
  return ` (${share > 0 ? "+" : "−"}${(100 * Math.abs(share)).toFixed(0)} %)`;
}

function blockTable(genome) {
  const table = make("table");
  const head = make("tr");
  const names = data.choices ? ["block", "operator", "weight", "activation"] : ["block", "choice"];
  names.forEach((name) => head.append(make("th", name)));
  const body = make("tbody");
  genome.forEach((choice, b) => {
    const row = make("tr", null, make("td", data.blocks[b]));
    if (data.choices) {
      const [operator, weight, activation] = data.choices[b][choice];
      row.append(make("td", operator), make("td", weight ? `${weight} bit` : "–"), make("td", activation ? `${activation} bit` : "–"));
    } else row.append(make("td", choice));
    body.append(row);
  });
  table.append(make("thead", null, head), body);
  return table;
}

function pin(key) {
  state.pinned = key;
  drawChart();
  drawCard();
  for (const row of $("table").tBodies[0].rows) row.classList.toggle("pinned", Number(row.dataset.index) === key);
}

function drawSliders() {
  const box = $("sliders");
  box.replaceChildren();
  columns.forEach((column, c) => {
    const values = [...new Set(column.values.filter((v) => v !== null))].sort((a, b) => a - b);
    state.limits[c] = null;
    if (values.length < 2) return;
    const free = column.maximize ? 0 : values.length - 1;
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: 0, max: values.length - 1, step: 1, value: free });
    slider.dataset.column = c;
    const value = make("span");
    const show = () => {
      const at = Number(slider.value);
      state.limits[c] = at === free ? null : values[at];
      value.textContent = `${column.maximize ? "≥" : "≤"} ${number(values[at], column.divisor)}`;
      slider.setAttribute("aria-valuetext", value.textContent);
    };
    slider.addEventListener("input", () => { show(); changed(); });
    show();
    const label = make("label", words(column), value);
    label.append(slider);
    box.append(label);
  });
}

/** After a limit moved: the count at once, the rest once per frame however fast the slider runs. */
let pending = false;
function changed() {
  state.rows = PAGE;
  drawCount();
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => { pending = false; drawTable(); drawChart(); drawMap(); });
}

function drawCount() {
  const rest = data.total > count ? ` (of ${number(data.total)} on the front, evenly chosen; the archive holds all)` : "";
  $("count").textContent = `${within().length} of ${count} networks${rest} meet the limits`;
}

function drawTable() {
  const head = make("tr");
  const names = ["network", ...columns.map(words)];
  names.forEach((name, place) => {
    const cell = make("th");
    cell.scope = "col";
    if (place) cell.className = "number";
    const here = place - 1 === state.sort;
    cell.setAttribute("aria-sort", here ? (state.down ? "descending" : "ascending") : "none");
    const button = make("button", name + (here ? (state.down ? " ↓" : " ↑") : ""));
    button.type = "button";
    button.dataset.sort = place - 1;
    button.addEventListener("click", () => {
      state.down = here ? !state.down : false;
      state.sort = place - 1;
      drawTable();
      $("table").querySelector(`[data-sort="${place - 1}"]`).focus();
    });
    cell.append(button);
    head.append(cell);
  });
  const rows = byColumn(within(), state.sort, state.down);
  $("table").tHead.replaceChildren(head);
  $("table").tBodies[0].replaceChildren(...rows.slice(0, state.rows).map(tableRow));
  $("more").hidden = rows.length <= state.rows;
  $("more").textContent = `Show more (${Math.min(state.rows, rows.length)} of ${rows.length} shown)`;
}

function tableRow(index) {
  const button = make("button", data.row[index]);
  button.type = "button";
  button.setAttribute("aria-label", `Pin ${title(index)}`);
  button.addEventListener("click", () => pin(state.pinned === index ? null : index));
  const row = make("tr", null, make("td", null, button));
  if (data.ids[index]) row.firstChild.append(` ${data.ids[index]}`);
  row.dataset.index = index;
  row.classList.toggle("pinned", index === state.pinned);
  columns.forEach((column) => {
    const cell = make("td", number(column.values[index], column.divisor));
    cell.className = "number";
    row.append(cell);
  });
  return row;
}

/** Quoted where CSV needs it; texts that a spreadsheet would take for a formula get an apostrophe. */
function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

function csvText() {
  const lines = [["network", "evaluation", ...columns.map((c) => c.name), ...data.blocks]];
  for (const i of byColumn(within(), state.sort, state.down)) {
    const choices = data.genome[i].map((choice, b) => choiceWords(b, choice));
    lines.push([data.row[i], data.evaluation[i], ...columns.map((c) => c.values[i]), ...choices]);
  }
  return `${lines.map((line) => line.map(csvCell).join(",")).join("\n")}\n`;
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csvText()], { type: "text/csv" }));
  link.download = `${data.name.replace(/[^\w.-]+/g, "-") || "front"}-front.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Names of the steps of the map, and the step of a choice. */
function mapSteps() {
  if (state.map === "operator") {
    const at = new Map(data.operators.map((name, i) => [name, i]));
    return [data.operators, (b, choice) => at.get(data.choices[b][choice][0])];
  }
  const part = state.map === "weight bits" ? 1 : 2;
  const bits = [...new Set(data.choices.flatMap((block) => block.map((choice) => choice[part])))].sort((a, b) => a - b);
  return [bits.map((value) => (value ? `${value} bit` : "none")), (b, choice) => bits.indexOf(data.choices[b][choice][part])];
}

function drawMap() {
  if (!data.choices) return;
  const c = state.y;
  let rows = byColumn(within(), c, false);
  if (rows.length > 400) rows = Array.from({ length: 400 }, (_, i) => rows[Math.round((i * (rows.length - 1)) / 399)]);
  $("map-order").textContent = `networks from left to right by rising ${words(columns[c])}`;
  const [names, place] = mapSteps();
  const z = data.blocks.map((_, b) => rows.map((i) => place(b, data.genome[i][b])));
  const text = data.blocks.map((block, b) => rows.map((i) => `${title(i)}<br>${plain(block)}: ${plain(choiceWords(b, data.genome[i][b]))}`));
  const scale = names.flatMap((_, i) => [[i / names.length, step(i, names.length)], [(i + 1) / names.length, step(i, names.length)]]);
  const every = Math.ceil(names.length / 14);
  const ticks = names.map((_, i) => i).filter((i) => i % every === 0);
  const short = (name) => plain(name.length > 18 ? `${name.slice(0, 17)}…` : name);
  const bar = narrow.matches
    ? { orientation: "h", y: -0.1, yanchor: "top", thickness: 12, tickangle: -40 } : { thickness: 14 };
  $("map").style.height = `${(narrow.matches ? 210 : 110) + 20 * Math.max(data.blocks.length, 5)}px`;
  Plotly.react($("map"), [{
    type: "heatmap", z, text, hovertemplate: "%{text}<extra></extra>", colorscale: scale, zmin: -0.5, zmax: names.length - 0.5,
    ygap: 1, y: data.blocks.map((_, b) => b),
    colorbar: { ...bar, tickvals: ticks, ticktext: ticks.map((i) => short(names[i])), outlinewidth: 0 },
  }], layout({
    xaxis: { visible: false }, dragmode: false, margin: { l: 10, r: 10, t: 10, b: 10 },
    yaxis: { autorange: "reversed", tickvals: data.blocks.map((_, b) => b), ticktext: data.blocks.map(short), automargin: true, fixedrange: true },
  }), { ...CONFIG, displayModeBar: false });
  $("map").rows = rows;
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
  $("more").addEventListener("click", () => { state.rows += 200; drawTable(); });
  $("download").addEventListener("click", download);
}

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
  const percent = (part) => found.networks.map((network) => (network[part] === null ? null : 100 * network[part]));
  const ids = found.networks.map((network) => plain(network.id));
  const trace = (name, part, marker) => ({
    name, mode: "markers", x: xs, y: percent(part), text: ids, hovertemplate: "%{text}: %{y:.2f} %<extra></extra>", marker,
  });
  const traces = [trace("before fine-tuning", "before", { size: 9, symbol: "circle-open", color: colour("front"), line: { width: 2 } }),
    trace("after fine-tuning", "after", { size: 10, color: colour("valid") })];
  if (key === "score" && found.random[0].length) {
    traces.unshift({
      name: "random networks", mode: "markers", hoverinfo: "skip", x: found.random[0], y: found.random[1].map((v) => 100 * v),
      marker: { size: 6, symbol: "x", color: colour("evaluated") },
    });
  }
  if (found.int8) {
    const baseline = data.baselines.find((b) => b.name === "teacher_int8");
    const at = columns.findIndex((column) => column.name === "score");
    const x = key === "size_bytes" ? found.int8.size_bytes / kib : baseline && at >= 0 ? baseline.values[at] : null;
    traces.push({
      name: "teacher INT8, same fine-tuning", mode: "markers", x: [x], y: [100 * found.int8.after],
      hovertemplate: "teacher INT8: %{y:.2f} %<extra></extra>", marker: { size: 12, symbol: "square", color: colour("baseline") },
    });
  }
  const label = key === "score" ? "predicted score (less is better)" : "size of the packed network, KiB";
  const log = key === "score" && decades([...xs, ...found.random[0]]);
  Plotly.react($("validation-chart"), traces, layout({
    xaxis: axis(label, { type: log ? "log" : "linear" }), yaxis: axis(`${found.metric}, %`),
  }), CONFIG);
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
    drawCount();
    drawTable();
    drawCard();
    if (data.validation) $("validation-x").addEventListener("change", drawValidation);
    start(() => { drawFront(); if (!document.documentElement.dataset.ready) listen(); });
  } else start(drawHistory);
}
