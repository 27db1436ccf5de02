/** The convergence curves of a comparison: median and quartile band per algorithm. */
const LINES = [["#0072b2", "solid"], ["#d55e00", "dash"], ["#009e73", "dot"], ["#cc79a7", "dashdot"], ["#56b4e9", "longdash"],
  ["#e69f00", "solid"], ["#7a7a7a", "dash"], ["#b8a800", "dot"]];

function drawCurves() {
  const problem = $("curve-problem").value;
  $("curve-note").textContent = data.references[problem] ?? "";
  const curves = data.curves.filter((curve) => curve.problem === problem);
  const traces = curves.flatMap((curve) => {
    const place = data.algorithms.indexOf(curve.algorithm);
    const [shade, dash] = LINES[place % LINES.length];
    const group = { legendgroup: String(place), x: curve.evaluations, hoverinfo: "skip" };
    const band = { ...group, mode: "lines", showlegend: false, line: { width: 0, color: shade } };
    return [{ ...band, y: curve.lower_quartile }, { ...band, y: curve.upper_quartile, fill: "tonexty", fillcolor: `${shade}26` },
      { ...group, hoverinfo: undefined, mode: "lines", name: plain(curve.algorithm), y: curve.median, line: { color: shade, dash, width: 2 },
        hovertemplate: `${plain(curve.algorithm)}: %{y:.5f} after %{x}<extra></extra>` }];
  });
  Plotly.react($("curve-chart"), traces, layout({
    xaxis: axis("evaluations"), yaxis: axis("hypervolume share, median and quartiles"),
  }), CONFIG);
}

if (data.curves) {
  [...new Set(data.curves.map((curve) => curve.problem))].forEach((name) => $("curve-problem").append(option(name, name)));
  $("curve-problem").addEventListener("change", drawCurves);
  start(drawCurves);
}
