"use strict";
// What all pages share: theme, charts, choices, saving the numbers.

const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const charts = [];
const fits = []; // functions that fit what is drawn into its box

// The value of a colour of the style sheet in the present theme; canvases know no variables.
const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);
const colour = (name) => {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
};

const plainNumber = (value) => (value == null ? "–" : String(+value.toPrecision(4)).replace("-", "−"));

function seriesOf(series) {
  const stroke = () => colour(`c${series.colour}`);
  const points = series.style === "points";
  return {
    label: series.label,
    stroke,
    width: points ? 1.5 : 2,
    class: `c${series.colour}`, // of its mark in the legend, which follows the theme by the style sheet
    dash: series.style === "dashed" ? [6, 4] : undefined,
    points: { show: points, size: 7, stroke, fill: stroke },
    spanGaps: true,
    value: (_, value) => plainNumber(value),
  };
}

// Of a logarithmic axis: 1, 2 and 5 times the powers of ten, or only these where there are many.
function decades(_, __, low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const ticks = [];
  for (let power = first; power <= last; power++) {
    for (const each of last - first > 3 ? [1] : [1, 2, 5]) ticks.push(+`${each}e${power}`);
  }
  return ticks.filter((tick) => low <= tick && tick <= high);
}

function axis(label, isX, log) {
  return {
    ...(log && { splits: decades, filter: (_, ticks) => ticks }),
    label,
    labelSize: 22,
    size: isX ? 42 : 58,
    stroke: () => colour("soft"),
    grid: { stroke: () => colour("rule"), width: 1 },
    ticks: { stroke: () => colour("rule"), width: 1 },
    values: (_, ticks) => ticks.map((tick) => (tick == null ? "" : plainNumber(tick))),
  };
}

// Limits a little wider than the data, by a factor on a logarithmic axis.
const limits = (_, low, high) => [low / 1.2, high * 1.2];

function draw(box, chart) {
  const tables = chart.series.map((series) => [series.x, series.y]);
  const options = {
    width: box.clientWidth,
    height: 260,
    scales: {
      x: { time: false, ...(chart.x_log && { distr: 3, range: limits }) },
      y: chart.y_log ? { distr: 3, range: limits } : {},
    },
    axes: [axis(chart.x_label, true, chart.x_log), axis(chart.y_label, false, chart.y_log)],
    series: [{ label: chart.x_label, value: (_, value) => plainNumber(value) }, ...chart.series.map(seriesOf)],
  };
  const plot = new uPlot(options, uPlot.join(tables), box);
  charts.push(plot);
  return plot;
}

// A chart is drawn when it is first seen, because what is hidden has no size, and follows its box.
for (const box of document.querySelectorAll("[data-chart]")) {
  let plot;
  const fit = () => {
    if (!box.clientWidth) return;
    if (plot) plot.setSize({ width: box.clientWidth, height: 260 });
    else plot = draw(box, data.charts[box.dataset.chart]);
  };
  fits.push(fit);
  new ResizeObserver(fit).observe(box);
}

const redraw = () => charts.forEach((plot) => plot.redraw(false));
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", redraw);
matchMedia("print").addEventListener("change", redraw);

for (const [event, printing] of [["beforeprint", true], ["afterprint", false]]) {
  addEventListener(event, () => {
    root.classList.toggle("printing", printing);
    fits.forEach((fit) => fit());
    redraw();
  });
}

document.getElementById("theme").addEventListener("click", () => {
  const now = root.dataset.theme ?? (dark.matches ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  redraw();
});

// <select data-choose="a"> shows of all [data-choice="a"] the one whose data-value is chosen.
for (const select of document.querySelectorAll("[data-choose]")) {
  const choose = () => {
    for (const each of document.querySelectorAll(`[data-choice="${select.dataset.choose}"]`)) {
      each.hidden = each.dataset.value !== select.value;
    }
  };
  select.addEventListener("change", choose);
  choose();
}

document.getElementById("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(data)], { type: "application/json" }));
  link.download = `${document.title}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
});
