// All metrics over the builds. As many builds as fit are shown, the newest first in sight; buttons turn to the others.

const METRIC_COLUMN = { wide: 220, narrow: 110 };
const BUILD_COLUMN = { wide: 122, narrow: 112 };

function buildsInSight(wanted) {
  const room = document.getElementById("content").clientWidth - 2 * parseFloat(getComputedStyle(document.getElementById("content")).paddingLeft);
  const size = room < 640 ? "narrow" : "wide";
  const fit = Math.max(1, Math.floor((room - METRIC_COLUMN[size]) / BUILD_COLUMN[size]));
  const count = Math.min(fit, DATA.builds.length);
  const newest = DATA.builds.findIndex((build) => build.name === wanted);
  const last = Math.max(count - 1, Math.min(newest < 0 ? Math.max(DATA.head, DATA.base ?? 0) : newest, DATA.builds.length - 1));
  const first = last - count + 1;
  return { first, last, count, places: Array.from({ length: count }, (_, place) => first + place) };
}

// Buttons to earlier and later builds; none where all of them fit.
function turnBuilds({ first, last, count }) {
  if (count === DATA.builds.length) return null;
  const turn = (text, step, key) => {
    const to = Math.max(count - 1, Math.min(last + step, DATA.builds.length - 1));
    return h("button", { type: "button", "data-focus": key, "aria-disabled": to === last ? "true" : null, onclick: () => to !== last && setState({ upto: DATA.builds[to].name }) }, text);
  };
  return h("p", { class: "turn" }, turn("← older", -count, "older"), turn("newer →", count, "newer"), h("span", { class: "quiet-text" }, `${buildName(first)}${count > 1 ? ` to ${buildName(last)}` : ""}, ${count} of ${plural(DATA.builds.length, buildWord())}`));
}

function changeCell(build, metric) {
  const { trend } = DATA;
  const change = trend.changes[build][metric];
  const verdict = overall(build, metric);
  const mean = number(trend.means[build][metric]);
  if (build === 0) return h("span", { class: "quiet-text" }, mean);
  // Host time of single runs swings by more than most changes: it is shown, and not called a change.
  const judged = DATA.metrics[metric].kind !== "host_time" || verdict;
  const arrow = !change ? "" : change.startsWith("-") ? "↓" : change.startsWith("0 to") || change.startsWith("+") ? "↑" : "↓";
  const words = changedCells(build, metric);
  return h("a", { class: `change ${verdict ? `t-${verdict}` : "quiet-text"}`, href: link("metric", DATA.metrics[metric].name, { build: DATA.builds[build].name }), title: words || (judged ? "no cell changed" : "single runs, not judged") },
    h("span", { class: "mean" }, mean),
    change && h("span", { class: "delta" }, h("span", { "aria-hidden": "true" }, `${arrow} `), change),
    ["worse", "better", "changed"].some((word) => trend[word][build][metric]) && h("span", { class: "counts", "aria-hidden": "true" },
      ["worse", "better", "changed"].map((word) => (trend[word][build][metric] ? h("span", { class: `t-${word}` }, `${SIGNS[word]}${trend[word][build][metric]} `) : null))),
    hidden(words ? ` ${words}` : judged ? " unchanged" : " not judged"));
}

function releaseSection(state) {
  const { params } = state;
  const [text, kind, every, moved] = ["q", "kind", "every", "moved"].map((name) => params.get(name) || "");
  const rows = DATA.metrics.map((metric, place) => ({ metric, place })).filter(({ metric, place }) =>
    (every || text || kind || moved || metric.key) && (!kind || metric.kind === kind) && (!text || readable(metric.name).includes(readable(text.toLowerCase())))
    && (!moved || DATA.builds.some((_, build) => overall(build, place))));
  const inSight = buildsInSight(params.get("upto"));
  const columns = [
    { id: "metric", head: "metric", rowHeader: true, key: ({ metric }) => metric.name, cell: ({ metric }) => [h("a", { href: link("metric", metric.name, {}), title: metric.meaning }, readable(metric.name)), h("span", { class: "unit" }, ` ${metric.unit}${metric.better === "none" ? "" : metric.better === "lower" ? ", lower is better" : ", higher is better"}`)] },
    ...inSight.places.map((number_) => ({ id: `b${number_}`, head: buildName(number_), about: DATA.builds[number_].subject || DATA.builds[number_].name, numeric: true, key: ({ place }) => (number_ === 0 ? DATA.trend.means[0][place] : stepSize(number_, place)), cell: ({ place }) => changeCell(number_, place) })),
  ];
  const numbers = table({ caption: "Mean over the cells that every build drained which drained any; below it the change from the last build before that measured it (the mean of the cells' ratios), and how many cells got worse, better, or just changed", className: "releases", columns, rows, sort: params.get("sort"), onsort: (value) => setState({ sort: value }) });
  numbers.style.setProperty("--builds", inSight.count);
  return h("section", { "aria-labelledby": "releases-title" },
    h("h2", { id: "releases-title" }, `Metrics over ${buildWord(true)}`),
    h("div", { class: "controls" },
      search("find a metric", text, (value) => setState({ q: value })),
      select("kind", kind, [["", "all"], ...Object.entries(KINDS)], (value) => setState({ kind: value })),
      tick("all metrics", every, (value) => setState({ every: value })),
      tick("only what moved", moved, (value) => setState({ moved: value }))),
    turnBuilds(inSight),
    numbers,
    legend([[badge("worse"), ""], [badge("better"), ""], [badge("mixed", "some worse, some better"), ""], [badge("changed", "changed, neither way is better"), ""], ["", "host time of single runs is shown and not judged"]], "Legend of the table"));
}

// Sorting a release's column: by the number of cells that moved, losses last.
const stepSize = (build, metric) => DATA.trend.worse[build][metric] - DATA.trend.better[build][metric];
