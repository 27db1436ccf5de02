"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const narrow = window.matchMedia("(max-width: 40rem)");
const CONFIG = {
  displaylogo: false, responsive: true,
  modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
};
const VIRIDIS = [[253, 231, 37], [122, 209, 81], [34, 168, 132], [42, 120, 142], [65, 68, 135], [68, 1, 84]];

/** Plotly reads a few HTML tags in its texts; texts from files are shown as they are. */
function plain(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/** The value of a CSS colour variable, so that charts follow light and dark. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Four digits, with separators for large numbers. */
function number(value, divisor = 1) {
  if (value === null || value === undefined) return "–";
  return Number((value / divisor).toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 });
}

/** An element with text and children; text never becomes HTML. */
function make(tag, text = null, ...children) {
  const element = document.createElement(tag);
  if (text !== null) element.textContent = text;
  element.append(...children);
  return element;
}

function option(value, text) {
  const element = make("option", text);
  element.value = value;
  return element;
}

/** A colour from light to dark for place `index` of `count`. */
function step(index, count) {
  const at = count < 2 ? 0 : (index / (count - 1)) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const mix = VIRIDIS[low].map((part, i) => Math.round(part + (VIRIDIS[low + 1][i] - part) * (at - low)));
  return `rgb(${mix.join(",")})`;
}

function axis(title, more = {}) {
  return {
    title: { text: plain(title), font: { size: 13 }, standoff: 14 }, gridcolor: colour("line"), linecolor: colour("line"),
    zerolinecolor: colour("line"), automargin: true, ...more,
  };
}

function layout(more) {
  return {
    paper_bgcolor: colour("paper"), plot_bgcolor: colour("paper"), font: { color: colour("ink"), size: 12 },
    margin: { l: 50, r: 10, t: 40, b: 45 }, hovermode: "closest",
    dragmode: window.matchMedia("(pointer: coarse)").matches ? false : "zoom",
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") }, align: "left" },
    legend: { orientation: "h", y: -0.16, yanchor: "top", x: 0 }, ...more,
  };
}

/** Whether a logarithmic axis shows these values better. */
function decades(values) {
  const known = values.filter((value) => value !== null);
  const low = Math.min(...known);
  return low > 0 && Math.max(...known) > 100 * low;
}

/** The drawing library is in the page, packed. */
async function loadPlotly() {
  const bytes = Uint8Array.from(atob($("plotly").textContent.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}

/** Draws now, and again when light and dark change. */
async function start(draw) {
  try {
    await loadPlotly();
    draw();
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    document.documentElement.dataset.ready = "yes";
  } catch (error) {
    const note = make("p", `The charts cannot be drawn: ${error.message}. A browser of 2023 or later is needed.`);
    note.className = "error";
    document.querySelector("header").append(note);
    throw error;
  }
}
