/** The network that a person prefers, as `Front.where(..).choose(..)` finds it: a reference point, a price, or both. */
const AUGMENTATION = 1e-4;
const preference = {
  target: [], paid: 0, gained: 1, price: null,
  asked() { return this.price !== null || this.target.some((value) => value !== null); },
};

const goals = () => columns.slice(0, data.objectives);
const known = (i) => goals().every((column) => column.values[i] !== null);
const less = (i, c) => (columns[c].maximize ? -columns[c].values[i] : columns[c].values[i]);

/** Networks that no other one makes too dear: another that costs less gains so much that the difference is not worth it. */
function worthTheirPrice(rows) {
  const { paid, gained, price } = preference;
  if (price === null) return rows;
  const rest = goals().map((_, c) => c).filter((c) => c !== paid && c !== gained);
  return rows.filter((i) => !rows.some((j) => {
    const gains = less(j, gained) - less(i, gained);
    return gains > 0 && less(i, paid) - less(j, paid) > price * gains && rest.every((c) => less(j, c) <= less(i, c));
  }));
}

/** The network within the limits that reaches the wished-for values best, or goes beyond them the furthest. */
function nearest(rows, among) {
  const scales = goals().map((_, c) => {
    const values = rows.map((i) => less(i, c));
    const low = values.reduce((a, b) => Math.min(a, b));
    const span = values.reduce((a, b) => Math.max(a, b)) - low;
    const target = preference.target[c];
    const wished = target === null ? null : columns[c].maximize ? -target : target;
    return { low: wished === null ? low : wished, span: span > 0 ? span : 1, named: wished !== null };
  });
  const loss = (i) => {
    const far = scales.map(({ low, span }, c) => (less(i, c) - low) / span);
    const worst = Math.max(...far.filter((_, c) => scales[c].named));
    return worst + AUGMENTATION * far.reduce((a, b) => a + b, 0);
  };
  return among.reduce((best, i) => (loss(i) < loss(best) ? i : best));
}

/** The least sum of what is paid, in units of the gain at its price, and of what is missed. */
function cheapest(among) {
  const { paid, gained, price } = preference;
  const spent = (i) => Number((less(i, paid) / price + less(i, gained)).toFixed(12));
  return among.reduce((best, i) => {
    const by = spent(i) - spent(best) || less(i, gained) - less(best, gained);
    return by < 0 ? i : best;
  });
}

/** The preferred network, null where nothing is wished for or nothing is worth its price. */
function preferred() {
  const rows = within().filter(known);
  const among = worthTheirPrice(rows);
  if (!among.length) return null;
  if (preference.target.some((value) => value !== null)) return nearest(rows, among);
  return preference.price === null ? null : cheapest(among);
}

function field(label, id, note, set) {
  const input = document.createElement("input");
  Object.assign(input, { type: "number", step: "any", id });
  input.addEventListener("input", () => { set(input.value === "" ? null : Number(input.value)); prefer(); });
  const box = make("label", label, input);
  if (note) input.placeholder = note;
  return box;
}

/** Pins the preferred network and says which one it is. */
function prefer() {
  const wished = preference.asked();
  const key = wished ? preferred() : null;
  $("preferred").textContent = key !== null ? `${title(key)} is preferred` : wished ? "No network is worth its price within the limits" : "";
  if (wished || state.pinned !== null) pin(key);
}

function drawPreference() {
  Object.assign(preference, { target: goals().map(() => null), paid: Math.min(1, goals().length - 1), gained: 0, price: null });
  $("wishes").replaceChildren(...goals().map((column, c) => {
    const reach = column.values.filter((v) => v !== null);
    const best = reach.length ? reach.reduce((a, b) => (column.maximize ? Math.max(a, b) : Math.min(a, b))) : null;
    const note = best === null ? "" : `best ${number(best, column.divisor)}`;
    return field(words(column), `wish-${c}`, note, (value) => { preference.target[c] = value === null ? null : value * column.divisor; });
  }));
  const price = $("price");
  price.replaceChildren();
  if (goals().length < 2) return;
  const choice = (part) => {
    const select = document.createElement("select");
    select.id = part;
    select.setAttribute("aria-label", part === "paid" ? "objective that is paid" : "objective that is gained");
    goals().forEach((column, c) => select.append(option(c, words(column))));
    select.value = preference[part];
    select.addEventListener("change", () => { preference[part] = Number(select.value); prices(); });
    return select;
  };
  const prices = () => {
    const asked = $("most").value;
    const { paid, gained } = preference;
    // The price in the units that are shown; one objective cannot pay for itself.
    const unit = columns[paid].divisor / columns[gained].divisor;
    preference.price = asked === "" || paid === gained || !(Number(asked) > 0) ? null : Number(asked) * unit;
    prefer();
  };
  const most = document.createElement("input");
  Object.assign(most, { type: "number", step: "any", min: 0, id: "most" });
  most.addEventListener("input", prices);
  price.append(make("label", "pay at most ", most), choice("paid"), make("span", "for one of"), choice("gained"));
}
