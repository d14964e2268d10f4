// What the marks of a chart mean, in words beside the mark.

const swatch = (kind, name) => h("span", { class: `swatch ${kind} ${name ? `${kind}-${name}` : ""}`.trim(), "aria-hidden": "true" });
const sign = (verdict) => h("span", { class: `sign t-${verdict}`, "aria-hidden": "true" }, SIGNS[verdict]);

// entries: [[mark, words]].
const legend = (entries, label) =>
  h("ul", { class: "legend", "aria-label": label || "Legend" }, entries.filter(Boolean).map(([mark, words]) => h("li", null, mark, " ", words)));

const HISTORY_MARKS = { worse: "got worse here", better: "got better here", mixed: "some cells got worse, some better", changed: "changed here, neither way is better", broken: "failed here" };

// The line, the band if there is one, and the verdicts that are marked.
function historyLegend({ line, band, marks }) {
  const found = [...new Set(marks.map((mark) => mark.verdict))];
  return legend([
    [swatch("line"), line],
    band && [swatch("band"), band],
    ...found.map((verdict) => [[swatch("dashes", verdict), sign(verdict)], HISTORY_MARKS[verdict] || verdict]),
  ], "Legend of the history");
}

// Colours of a heat map: how far a ratio is from 1, or where a value lies between the smallest and the largest.
function heatLegend(shown) {
  if (shown !== "ratio") {
    return legend([0, 1, 2, 3, 4].map((level) => [swatch("level", `l${level}`), level === 0 ? "smallest" : level === 4 ? "largest" : ""]).concat([[h("span", { class: "swatch failed", "aria-hidden": "true" }), "the cell did not drain"]]), "Legend of the heat map");
  }
  const scale = (verdict) => [1, 2, 3, 4].map((depth) => swatch(`d${depth}`, null)).map((element) => { element.classList.add(`v-${verdict}`); return element; });
  return legend([
    [[sign("worse"), scale("worse")], "worse"], [[sign("better"), scale("better")], "better"], [[sign("changed"), scale("changed")], "changed, neither way is better"],
    ["", `light to dark: by a factor of up to ${DEPTHS.join(", ")}, more`], [h("span", { class: "swatch level-0", "aria-hidden": "true" }), "the same, or not judged"],
    [h("span", { class: "swatch failed", "aria-hidden": "true" }), "the cell did not drain"],
  ], "Legend of the heat map");
}
