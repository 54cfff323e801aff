// Draws each chart of the page from the specification beside it. The security policy forbids eval, so expressions are
// interpreted; colours follow the sheet. The numbers stand in a table below each chart, so nothing is lost without a script.
const chosen = document.documentElement.dataset.theme;
const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
const line = getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
for (const chart of document.querySelectorAll("[data-chart]")) {
  const spec = JSON.parse(document.getElementById(chart.dataset.chart).textContent);
  vegaEmbed(chart, spec, {
    actions: false,
    ast: true,
    expr: vega.expressionInterpreter,
    defaultStyle: false,
    renderer: "svg",
    tooltip: false,
    theme: dark ? "dark" : undefined,
    config: {
      aria: false, // the picture's place says what it shows, and the table says the rest
      background: "transparent",
      view: { stroke: "transparent" },
      mark: { aria: false },
      axis: { aria: false, labelColor: ink, titleColor: ink, gridColor: line, domainColor: line, tickColor: line },
      legend: { aria: false, labelColor: ink },
    },
  }).then(() => chart.classList.add("drawn"));
}
