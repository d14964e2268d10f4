// The first screen: the answer, what changed, where, and then all metrics over all builds.

function verdictSection() {
  if (DATA.verdict === null) {
    return h("section", { class: "verdict" }, h("h1", null, buildLink(DATA.head)), subjectOf(DATA.head), h("p", null, DATA.notes[0] || "There is nothing to compare."));
  }
  const counts = Object.entries(DATA.counts).filter(([, count]) => count);
  return h("section", { class: "verdict" },
    h("h1", null, badge(DATA.verdict), " ", h("span", null, buildLink(DATA.head), " against ", buildLink(DATA.base))),
    h("p", { class: "answer" }, DATA.sentence),
    subjectOf(DATA.head),
    h("p", { class: "chips" }, `${plural(DATA.cells.length, "cell")}: `, counts.map(([word, count]) => [h("a", { href: link("cells", "", { verdict: word }) }, badge(word, `${count} ${word}`)), " "])),
    h("p", { class: "note" }, coverage()),
    DATA.refusals.length ? h("ul", null, DATA.refusals.map((text) => h("li", null, text))) : null);
}

// What the commit is about, where it is known.
function subjectOf(place) {
  const about = aboutBuild(DATA.builds[place]);
  return about.length ? h("p", { class: "subject" }, `${buildName(place)}: `, about) : null;
}

// Which kinds the verdict judged, and why not the others.
function coverage() {
  const list = (words, kinds) => (kinds.length ? `${words}: ${kinds.map((kind) => kind.text).join(", ")}. ` : "");
  return list("Judged", DATA.kinds.filter((kind) => kind.is_judged)) + list("Not judged", DATA.kinds.filter((kind) => !kind.is_judged));
}

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

// The history of the metric that the heat map shows; two builds are a comparison, and the rest of the page shows it.
function shortHistory(metric, after) {
  if (DATA.builds.length < 3) return null;
  const { section, draw } = historySection(metric, "History");
  after.push(draw);
  return section;
}

function overviewPage(state) {
  const first = DATA.headlines.find((one) => one.metric in DATA.metricNumber);
  const metric = metricOf(state.params.get("metric") || (first && first.metric));
  const after = [];
  // Two of many builds say little: what changed at which of them comes first.
  const builds = buildSection(state);
  const content = [verdictSection(), areMany() && builds, effectSection(state), whereSection(), heatSection(metric, state, true), shortHistory(metric, after), releaseSection(state), areMany() ? null : builds];
  return { title: "Overview", content, after: () => after.forEach((action) => action()) };
}
