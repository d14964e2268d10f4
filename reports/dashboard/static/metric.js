// One metric: its history and its heat map.

// The chart of a metric over the builds with its legend: {section, draw}; `draw` is called once the section is in the page.
function historySection(metric, title) {
  const about = DATA.metrics[metric];
  const { trend } = DATA;
  const isIndex = trend.index.some((row) => row[metric] !== null);
  const points = trend[isIndex ? "index" : "means"].map((row) => row[metric]);
  const [low, high] = ["low", "high"].map((name) => trend[name].map((row) => row[metric]));
  const band = about.kind === "host_time" ? "confidence interval of the paired rounds" : "middle half of the cells";
  const hasBand = low.some((value, place) => value !== null && high[place] !== null && value !== high[place]);
  const marks = DATA.builds.map((_, build) => ({ build, verdict: overall(build, metric) })).filter((mark) => mark.verdict);
  // Of many marks only those that matter are lines: others would cover the chart.
  const isShort = ({ build }) => areMany() && marks.length > MANY && !DATA.builds[build].moved.effects.some((effect) => effect.metric === about.name);
  for (const mark of marks) mark.isShort = isShort(mark);
  const line = isIndex ? `ratio to ${buildName(0)}, geometric mean over all cells` : `mean over the cells that every ${buildWord()} drained which drained any${about.unit ? `, in ${about.unit}` : ""}`;
  const axis = isIndex ? `ratio to ${buildName(0)}` : about.unit || readable(about.name);
  const single = about.kind === "host_time" && !hasBand;
  const box = h("div", { class: "chart", role: "img", "aria-label": `${readable(about.name)} over ${plural(DATA.builds.length, buildWord())}, ${line}: ${points.map((value, build) => `${buildName(build)} ${number(value)}`).join(", ")}` });
  const isEmpty = points.every((value) => value === null);
  const section = h("section", { "aria-labelledby": "history-title" },
    h("h2", { id: "history-title" }, `${title}: ${withUnit(about)}`),
    h("p", { class: "note" }, single ? "Single runs on one machine: no band and no verdict. " : "", `Marks: cells changed there against the last ${buildWord()} before that measured them.${marks.some((mark) => mark.isShort) ? " A short mark: by less than what matters over a workload." : ""}`),
    isEmpty ? h("p", null, `No cell has a value in every ${buildWord()} that has any: there is no line to draw.`) : [box, historyLegend({ line, band: hasBand && `band: ${band}`, marks })]);
  return { section, draw: () => isEmpty || historyChart(box, { label: isIndex ? `against ${buildName(0)}` : readable(about.name), axis, points, low, high, marks, band }), band, low, high };
}

function metricPage(state) {
  const metric = metricOf(state.name);
  const about = DATA.metrics[metric];
  const { trend } = DATA;
  const { section, draw, band, low, high } = historySection(metric, "History");
  const hasSubjects = DATA.builds.some((build) => aboutBuild(build).length);
  const numbers = table({
    caption: `${withUnit(about)} by ${buildWord()}`, className: "history", rows: DATA.builds.map((build, place) => ({ build, place })),
    columns: [
      { head: buildWord(), rowHeader: true, cell: ({ place }) => buildLink(place) },
      { head: "date", cell: ({ build }) => day(build) },
      hasSubjects && { head: "what", cell: ({ build }) => aboutBuild(build) },
      { head: "mean", numeric: true, cell: ({ place }) => number(trend.means[place][metric]) },
      { head: `against ${buildName(0)}`, numeric: true, cell: ({ place }) => times(trend.index[place][metric]) },
      { head: band, numeric: true, cell: ({ place }) => (low[place] === null || low[place] === high[place] ? "–" : `${times(low[place])} to ${times(high[place])}`) },
      { head: "change", numeric: true, cell: ({ place }) => trend.changes[place][metric] || "–" },
      { head: "cells", cell: ({ place }) => { const verdict = overall(place, metric); return verdict ? badge(verdict, changedCells(place, metric)) : "–"; } },
    ].filter(Boolean),
  });
  const content = [
    h("h1", null, readable(about.name)),
    h("p", { class: "note" }, `${about.meaning} ${about.unit ? `In ${about.unit}; ` : ""}${KINDS[about.kind] || about.kind}; ${about.better === "none" ? "neither way is better by itself" : `${about.better} is better`}.`),
    h("div", { class: "controls" }, select("metric", about.name, metricOptions(), (value) => { location.hash = link("metric", value, Object.fromEntries(state.params)); })),
    section,
    heatSection(metric, state, false),
    h("section", { "aria-labelledby": "table-title" }, h("h2", { id: "table-title" }, `All ${buildWord(true)}`), folded(`${plural(DATA.builds.length, buildWord())} in numbers`, numbers)),
  ];
  return { title: readable(about.name), content, after: draw };
}
