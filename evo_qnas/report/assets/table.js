/** Steps of a slider, of equal differences in value, or of equal ratios where the values span decades. */
const STEPS = 500;

/** Sliders for limits, the table of networks within them, and its CSV file. */
function drawSliders() {
  const box = $("sliders");
  box.replaceChildren();
  columns.forEach((column, c) => {
    const values = column.values.filter((v) => v !== null);
    const low = values.reduce((a, b) => Math.min(a, b), Infinity);
    const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
    state.limits[c] = null;
    if (!(low < high)) return;
    const log = decades(column.values);
    const at = (place) => (log ? low * (high / low) ** (place / STEPS) : low + (high - low) * (place / STEPS));
    const free = column.maximize ? 0 : STEPS;
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: 0, max: STEPS, step: 1, value: free });
    slider.dataset.column = c;
    const value = make("span");
    const show = () => {
      const place = Number(slider.value);
      const limit = place === 0 ? low : place === STEPS ? high : at(place);
      state.limits[c] = place === free ? null : limit;
      value.textContent = `${column.maximize ? "≥" : "≤"} ${number(limit, column.divisor)}`;
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
  requestAnimationFrame(() => { pending = false; drawTable(); drawChart(); drawMap(); if (preference.asked()) prefer(); });
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
  const metric = data.validation ? data.validation.metric : null;
  const after = metric ? [metric, `${metric} standard error`, "size_bytes as packed", "latency_ms measured"] : [];
  const lines = [["network", "id", "evaluation", ...columns.map((c) => c.name), ...after, ...data.blocks]];
  for (const i of byColumn(within(), state.sort, state.down)) {
    const choices = data.genome[i].map((choice, b) => choiceWords(b, choice));
    const network = metric ? measured(i) : null;
    const found = network ? [network.after, network.stderr, network.size_bytes, network.latency_ms] : after.map(() => null);
    lines.push([data.row[i], data.id[i], data.evaluation[i], ...columns.map((c) => c.values[i]), ...found, ...choices]);
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
