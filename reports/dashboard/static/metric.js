// One metric: its history and its heat map.

function metricPage(state) {
  const metric = metricOf(state.name);
  const about = DATA.metrics[metric];
  const { trend } = DATA;
  const isIndex = trend.index.some((row) => row[metric] !== null);
  const points = trend[isIndex ? "index" : "means"].map((row) => row[metric]);
  const [low, high] = ["low", "high"].map((name) => trend[name].map((row) => row[metric]));
  const band = about.kind === "host_time" ? "confidence interval of the paired rounds" : "middle half of the cells";
  const marks = DATA.builds.map((_, build) => ({ build, verdict: overall(build, metric) })).filter((mark) => mark.verdict);
  const box = h("div", { class: "chart", role: "img", "aria-label": `${readable(about.name)} over ${DATA.builds.length} builds; the table below has the same numbers` });
  const rows = DATA.builds.map((build, place) => ({ build, place }));
  const single = about.kind === "host_time" && low.every((value) => value === null);
  const content = [
    h("h1", null, readable(about.name)),
    h("p", { class: "note" }, `${about.meaning} ${about.unit}; ${KINDS[about.kind] || about.kind}; ${about.better === "none" ? "neither way is better by itself" : `${about.better} is better`}.`),
    h("div", { class: "controls" }, select("metric", about.name, metricOptions(), (value) => { location.hash = link("metric", value, Object.fromEntries(state.params)); })),
    h("section", { "aria-labelledby": "history-title" },
      h("h2", { id: "history-title" }, "History"),
      h("p", { class: "note" }, isIndex ? `Over all cells, relative to ${buildName(0)}${single ? "; single runs on one machine: no band and no verdict" : `; the band is the ${band}`}.` : "Mean over the cells that every build drained.", " Marked builds: cells changed there against the last build before that measured them."),
      box,
      table({
        caption: `${readable(about.name)} by build`, rows,
        columns: [
          { head: "build", rowHeader: true, cell: ({ build }) => build.name },
          { head: "date, commit", cell: ({ build }) => [build.date ? build.date.slice(0, 10) : "–", build.commit ? [" ", h("code", null, build.commit.slice(0, 12))] : "", build.message ? ` ${build.message}` : ""] },
          { head: "mean", numeric: true, cell: ({ place }) => number(trend.means[place][metric]) },
          { head: `against ${buildName(0)}`, numeric: true, cell: ({ place }) => times(trend.index[place][metric]) },
          { head: band, numeric: true, cell: ({ place }) => (low[place] === null ? "–" : `${times(low[place])} to ${times(high[place])}`) },
          { head: "change", numeric: true, cell: ({ place }) => trend.changes[place][metric] || "–" },
          { head: "cells", cell: ({ place }) => { const verdict = overall(place, metric); return verdict ? badge(verdict, changedCells(place, metric)) : "–"; } },
        ],
      })),
    heatSection(metric, state, false),
  ];
  return { title: readable(about.name), content, after: () => historyChart(box, { label: isIndex ? `against ${buildName(0)}` : readable(about.name), points, low, high, marks, band }) };
}
