/** The front: what is shown, its chart, and the card of one network. */
const columns = data.columns || [];
const count = data.row ? data.row.length : 0;
const PAGE = 50;
const state = {
  x: Math.min(1, columns.length - 1), y: 0, colour: data.objectives > 2 ? 2 : -1, limits: [], pinned: null, hovered: null,
  sort: 0, down: false, rows: PAGE, map: "operator",
};
const validated = data.validation ? data.validation.networks : [];

/** A network is known by its place on the front, `b0` for a baseline, `v0` for a validated one that is not on the front. */
const record = (key) => (key[0] === "b" ? data.baselines : validated)[Number(key.slice(1))];
const title = (key) => (typeof key === "string" ? baselineName(record(key).name ?? "off this front") : `Network ${data.row[key]}`);
const genomeOf = (key) => (typeof key === "string" ? record(key).genome : data.genome[key]);
const valueOf = (key, c) => (typeof key === "string" ? record(key).values[c] : columns[c].values[key]);
const baselineName = (name) => name.replace(/^teacher_int([48])$/, "teacher INT$1");
const idOf = (key) => (typeof key === "string" ? record(key).id : data.ids[key]);
const measured = (key) => validated.find((network) => network.id === idOf(key) && idOf(key));

/** The key of a validated network. */
function keyOf(id) {
  const at = Object.keys(data.ids).find((index) => data.ids[index] === id);
  return at === undefined ? `v${validated.findIndex((network) => network.id === id)}` : Number(at);
}

const first = data.validation && data.validation.best ? keyOf(data.validation.best) : data.knee ?? null;
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

/** What pointing at a validated network shows. */
function validatedText(key) {
  const network = measured(key);
  const facts = network ? network.facts.map(([name, value]) => `${plain(name)}: ${plain(value)}`) : [];
  return typeof key === "string" ? [`<b>${plain(network.id)}</b>`, ...facts].join("<br>") : [hoverText(key), "", ...facts].join("<br>");
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
  const keys = validated.length ? validated.map((network) => keyOf(network.id)) : Object.keys(data.ids).map(Number);
  const ids = keys.filter((key) => typeof key === "string" || meets(key));
  if (ids.length) {
    traces.push({
      name: "validated", mode: "markers", x: scaled(x, ids.map((key) => valueOf(key, x))), y: scaled(y, ids.map((key) => valueOf(key, y))),
      customdata: ids, text: ids.map(validatedText), hovertemplate: "%{text}<extra></extra>",
      marker: { size: 14, symbol: "circle-open", color: colour("valid"), line: { width: 2.5 } },
    });
  }
  data.baselines.forEach((baseline, b) => {
    traces.push({
      name: plain(baselineName(baseline.name)), mode: "markers", customdata: [`b${b}`], x: scaled(x, [baseline.values[x]]),
      y: scaled(y, [baseline.values[y]]), hovertemplate: `<b>${plain(baselineName(baseline.name))}</b><extra></extra>`,
      marker: { size: 12, symbol: baseline.symbol, color: colour("baseline") },
    });
  });
  const key = state.pinned ?? (validated.length ? first : null);
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
  return state.pinned ?? state.hovered ?? first;
}

/** The card of the pinned network, else of the one pointed at, else of the best validated one, else of the knee. */
function drawCard() {
  const card = $("network");
  const key = shown();
  card.replaceChildren();
  if (key === null) return;
  const id = idOf(key) ? ` · ${idOf(key)}` : "";
  const chosen = validated.length ? " (the best validated one)" : " (the knee of the front)";
  const why = key === state.pinned ? " (pinned)" : key === state.hovered ? "" : chosen;
  card.append(make("h3", title(key) + id + why));
  if (key === state.pinned) {
    const button = make("button", "Unpin");
    button.type = "button";
    button.id = "unpin";
    button.addEventListener("click", () => { pin(null); $("chart").focus(); });
    card.append(button);
  }
  const network = measured(key);
  if (network) {
    const facts = make("dl");
    network.facts.forEach(([name, value]) => facts.append(make("dt", name), make("dd", value)));
    const files = make("p", "Its files: ", make("code", network.files));
    files.className = "hint";
    const command = make("pre", network.command);
    command.tabIndex = 0;
    card.append(facts, files, command, make("h4", "By the tables"));
  }
  const list = make("dl");
  columns.forEach((column, c) => {
    const value = valueOf(key, c);
    list.append(make("dt", words(column)), make("dd", number(value, column.divisor) + against(value, c, key)));
  });
  card.append(list);
  if (data.baselines.length && key !== "b0") {
    const note = make("p", `In brackets: against ${baselineName(data.baselines[0].name)}.`);
    note.className = "hint";
    card.append(note);
  }
  if (!genomeOf(key).length) return;
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
  return ` (${percent(share)})`;
}

/** A change in percent, with one decimal below one percent, never minus zero. */
function percent(share) {
  const text = (100 * Math.abs(share)).toFixed(Math.abs(share) < 0.01 ? 1 : 0);
  return Number(text) === 0 ? "same" : `${share > 0 ? "+" : "−"}${text} %`;
}

/** A cell with an operator, which says what that is where it is known. */
function operatorCell(operator) {
  const cell = make("td", operator);
  if (data.about[operator]) cell.title = data.about[operator];
  return cell;
}

function blockTable(genome) {
  const table = make("table");
  const head = make("tr");
  const names = data.choices ? ["block", "operator", "weight", "activation"] : ["block", "choice"];
  names.forEach((name) => {
    const cell = make("th", name);
    cell.scope = "col";
    head.append(cell);
  });
  const body = make("tbody");
  genome.forEach((choice, b) => {
    const row = make("tr", null, make("td", data.blocks[b]));
    if (data.choices) {
      const [operator, weight, activation] = data.choices[b][choice];
      row.append(operatorCell(operator), make("td", weight ? `${weight} bit` : "–"), make("td", activation ? `${activation} bit` : "–"));
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
