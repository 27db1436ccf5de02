/** The block map: networks from left to right, blocks from top to bottom. */
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
  const c = state.x;
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
