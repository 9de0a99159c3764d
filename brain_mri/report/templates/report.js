"use strict";
(() => {
  const charts = [...document.querySelectorAll("script[data-chart]")].map((source) => ({
    place: document.getElementById(source.dataset.chart),
    figure: JSON.parse(source.textContent),
  }));

  // Text, axes and hover boxes take the page's colours, so that a chart follows light and dark.
  function theme() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { color: colour("--text"), gridcolor: colour("--line"), linecolor: colour("--line") };
    const layout = {
      "font.color": colour("--text"),
      "font.family": getComputedStyle(document.body).fontFamily,
      "hoverlabel.bgcolor": colour("--panel"),
      "hoverlabel.bordercolor": colour("--line"),
      "hoverlabel.font.color": colour("--text"),
    };
    for (const [key, value] of Object.entries(axis)) {
      layout[`xaxis.${key}`] = value;
      layout[`yaxis.${key}`] = value;
    }
    return layout;
  }

  function draw({ place, figure }) {
    Plotly.newPlot(place, figure.data, figure.layout, { responsive: true, displayModeBar: false })
      .then(() => Plotly.relayout(place, theme()));
  }

  // Paper has a width of its own: charts are laid out for it, and for the window again afterwards.
  function fit(width) {
    for (const { place } of charts) {
      if (place.data) {
        const wide = place.closest(".charts") ? width && width / 2 - 30 : width;
        Plotly.relayout(place, { ...theme(), width: wide, autosize: !wide });
      }
    }
  }

  charts.forEach(draw);
  // A chart behind a closed line has no width before it is opened.
  document.addEventListener("toggle", (event) => {
    for (const place of event.target.querySelectorAll(".plot")) if (place.data) Plotly.Plots.resize(place);
  }, true);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => fit(undefined));
  addEventListener("beforeprint", () => fit(640));
  addEventListener("afterprint", () => fit(undefined));
  if (matchMedia("(max-width: 60rem)").matches) document.querySelector("nav details").open = false;
})();
