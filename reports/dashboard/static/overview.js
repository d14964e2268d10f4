// The first screen: the verdict, all metrics over all releases, where the loss lives, the heat map.

function verdictSection() {
  const builds = `${buildName(DATA.head)}`;
  if (DATA.verdict === null) {
    return h("section", { class: "verdict" }, h("h1", null, builds), h("p", null, DATA.notes[0] || "There is nothing to compare."));
  }
  const counts = Object.entries(DATA.counts).filter(([, count]) => count);
  return h("section", { class: "verdict" },
    h("h1", null, badge(DATA.verdict), " ", h("span", null, `${buildName(DATA.head)} against ${buildName(DATA.base)}`)),
    h("p", null, DATA.sentence),
    h("p", { class: "chips" }, `${plural(DATA.cells.length, "cell")}: `, counts.map(([word, count]) => [h("a", { href: link("cells", "", { verdict: word }) }, badge(word, `${count} ${word}`)), " "])),
    h("p", { class: "note" }, coverage()),
    DATA.refusals.length ? h("ul", null, DATA.refusals.map((text) => h("li", null, text))) : null);
}

// Which kinds the verdict judged, and why not the others.
function coverage() {
  const list = (words, kinds) => (kinds.length ? `${words}: ${kinds.map((kind) => kind.text).join(", ")}. ` : "");
  return list("Judged", DATA.kinds.filter((kind) => kind.is_judged)) + list("Not judged", DATA.kinds.filter((kind) => !kind.is_judged));
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
  return h("a", { class: `change ${verdict ? `t-${verdict}` : "quiet-text"}`, href: link("metric", DATA.metrics[metric].name, { build: buildName(build) }), title: words || (judged ? "no cell changed" : "single runs, not judged") },
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
  const columns = [
    { id: "metric", head: "metric", rowHeader: true, key: ({ metric }) => metric.name, cell: ({ metric }) => [h("a", { href: link("metric", metric.name, {}), title: metric.meaning }, readable(metric.name)), h("span", { class: "unit" }, ` ${metric.unit}${metric.better === "none" ? "" : metric.better === "lower" ? ", lower is better" : ", higher is better"}`)] },
    ...DATA.builds.map((build, number_) => ({ id: `b${number_}`, head: build.name, numeric: true, key: ({ place }) => (number_ === 0 ? DATA.trend.means[0][place] : stepSize(number_, place)), cell: ({ place }) => changeCell(number_, place) })),
  ];
  return h("section", { "aria-labelledby": "releases-title" },
    h("h2", { id: "releases-title" }, "Releases"),
    h("div", { class: "controls" },
      search("find a metric", text, (value) => setState({ q: value })),
      select("kind", kind, [["", "all"], ...Object.entries(KINDS)], (value) => setState({ kind: value })),
      tick("all metrics", every, (value) => setState({ every: value })),
      tick("only what moved", moved, (value) => setState({ moved: value }))),
    table({ caption: "Mean over the cells that every build drained; below it the change from the last build before that measured it (the mean of the cells' ratios), and how many cells got worse, better, or just changed", className: "releases", columns, rows, sort: params.get("sort"), onsort: (value) => setState({ sort: value }) }),
    h("p", { class: "note legend" }, badge("worse"), " ", badge("better"), " ", badge("mixed", "some worse, some better"), " ", badge("changed", "changed, neither way is better"), " Host time of single runs is shown and not judged."));
}

// Sorting a release's column: by the number of cells that moved, losses last.
const stepSize = (build, metric) => DATA.trend.worse[build][metric] - DATA.trend.better[build][metric];

function whereSection() {
  if (!DATA.headlines.length) return null;
  const item = (one) => h("li", null,
    badge(one.verdict), " ", h("a", { href: one.metric in DATA.metricNumber ? link("overview", "", { metric: one.metric }) : link("cells", "", { verdict: one.verdict }) }, one.text),
    h("span", { class: "quiet-text" }, ` · ${plural(one.cells.length, "cell")}`),
    one.others.length ? h("details", null, h("summary", null, `${plural(one.others.length, "metric")} moved with it`),
      h("p", null, one.others.map((other, place) => [place ? ", " : "", h("a", { href: link("metric", other.metric, {}) }, readable(other.metric)), ` ${other.change}`]))) : null,
    one.reasons.length ? h("p", { class: "note" }, one.reasons.slice(0, 3).join("; ")) : null);
  const first = DATA.headlines.slice(0, 5);
  const rest = DATA.headlines.slice(5);
  return h("section", { "aria-labelledby": "where-title" },
    h("h2", { id: "where-title" }, "Where in the grid"),
    h("ol", { class: "headlines" }, first.map(item)),
    rest.length ? h("details", null, h("summary", null, `${plural(rest.length, "more headline")}`), h("ol", { class: "headlines", start: 6 }, rest.map(item))) : null);
}

// Where not all releases fit, the newest are in sight.
function showNewest() {
  const box = document.querySelector(".releases").parentElement;
  box.scrollLeft = box.scrollWidth;
}

function overviewPage(state) {
  const first = DATA.headlines.find((one) => one.metric in DATA.metricNumber);
  const metric = metricOf(state.params.get("metric") || (first && first.metric));
  return { title: "Overview", content: [verdictSection(), releaseSection(state), whereSection(), heatSection(metric, state, true)], first: showNewest };
}
