// leave_pages x leave_refs, one small table for each combination of the other axes.

const SHOWN = [["ratio", "ratio"], ["head", "head"], ["base", "base"]];
const PREFERRED = ["leave_pages", "leave_refs"];

// The two axes of a heat map. The one with fewer values goes across: a page scrolls down, not sideways.
function heatAxes() {
  const names = DATA.axes.map((axis) => axis.name);
  const wanted = [...PREFERRED.filter((name) => names.includes(name)), ...names.filter((name) => !PREFERRED.includes(name))];
  const two = wanted.slice(0, 2).map((name) => DATA.axes.find((axis) => axis.name === name));
  return two.length === 2 && two[1].labels.length <= two[0].labels.length ? two.reverse() : two;
}

const axisTitle = (axis) => `${readable(axis.name)}${axis.unit && !axis.name.endsWith(axis.unit) ? ` (${axis.unit})` : ""}`;

// How far from 1 a ratio is, in four depths of colour.
const DEPTHS = [1.02, 1.1, 1.4];
const depth = (ratio) => {
  if (ratio === null) return 2;
  const factor = Math.exp(Math.abs(Math.log(ratio || 1e-9)));
  return 1 + DEPTHS.filter((limit) => factor >= limit).length;
};

// What a cell of the heat map says, in words: for its label, and for the line below the maps.
function heatWords(cell, metric, build) {
  const { before: base, ratio, verdict } = judged(build, metric, cell);
  const { unit } = DATA.metrics[metric];
  const [before, after] = [valueOf(base, metric, cell), valueOf(build, metric, cell)];
  const outcome = DATA.outcomes[build][cell] || "missing";
  const value = (place, of) => `${buildName(place)} ${number(of)}${unit && of !== null ? ` ${unit}` : ""}`;
  return {
    place: axisText(cell) || DATA.cells[cell].id,
    numbers: [base === null ? null : value(base, before), value(build, after)].filter(Boolean).join(" → "),
    ratio: ratio === null ? "" : `ratio ${times(ratio)}`,
    verdict,
    outcome: outcome === "drained" ? "" : readable(outcome),
  };
}

function heatCell(cell, metric, build, shown, range) {
  const { before: base, ratio, verdict } = judged(build, metric, cell);
  const [before, after] = [valueOf(base, metric, cell), valueOf(build, metric, cell)];
  const outcome = DATA.outcomes[build][cell];
  const value = shown === "base" ? before : after;
  const failed = outcome !== "drained";
  let kind = `v-${verdict.replace(" ", "-")} d${verdict === "same" ? 0 : depth(ratio)}`;
  if (shown !== "ratio") {
    const share = value === null || range[1] === range[0] ? 0 : (value - range[0]) / (range[1] - range[0]);
    kind = `level l${Math.min(4, Math.floor(share * 5))}`;
  }
  const isOutcome = failed && shown !== "base";
  const main = isOutcome ? readable(outcome || "missing") : shown !== "ratio" ? compact(value) : ratio === null && build > 0 ? compact(after) : ratio === 1 && verdict !== "same" && before !== after ? "≈ 1" : times(ratio);
  const words = heatWords(cell, metric, build);
  const label = [words.place, words.outcome, words.numbers, words.ratio, words.verdict].filter(Boolean).join(", ");
  const marked = !isOutcome && shown === "ratio" && verdict !== "same" && verdict !== "not judged";
  return h("a", { class: `heat ${failed ? "failed" : kind}`, href: link("cell", DATA.cells[cell].id, { metric: DATA.metrics[metric].name }), "aria-label": label, tabindex: "-1", "data-cell": cell },
    h("span", { class: isOutcome ? "big word" : "big" }, marked && h("span", { class: "sign" }, SIGNS[verdict]), h("span", { class: "figure" }, main)),
    isOutcome ? null : h("span", { class: "small" }, base === null ? null : [h("span", { class: "figure" }, compact(before)), " "], h("span", { class: "figure" }, `${base === null ? "" : "→ "}${compact(after)}`)));
}

// Workloads with parameters have long names.
const headWidth = (labels) => (labels.some((label) => label.length > 16) ? "132px" : "72px");

// One table: only the values of the axes that its cells have.
function heatTable(key, cells, across, down, draw) {
  const at = new Map(cells.map((cell) => [[across, down].map((axis) => axis && DATA.cells[cell].axes[axis.name]).join("\n"), cell]));
  const present = (axis) => (axis ? axis.labels.filter((label) => cells.some((cell) => DATA.cells[cell].axes[axis.name] === label)) : [""]);
  const [columns, rows] = [present(across), present(down)];
  const box = h("div", { class: "scroll map", "data-caption": `Heat map ${key}` },
    h("table", { class: "heatmap", role: "grid", "aria-label": `Heat map ${key || "of all cells"}: ${down ? `${axisTitle(down)} down, ` : ""}${axisTitle(across)} across` },
      h("caption", null, key || "All cells"),
      h("thead", null,
        h("tr", null, h("th", { class: "axis", rowspan: 2 }, down ? `${axisTitle(down)} ↓` : ""), h("th", { class: "axis", colspan: columns.length, scope: "colgroup" }, `${axisTitle(across)} →`)),
        h("tr", null, columns.map((label) => h("th", { scope: "col" }, label)))),
      h("tbody", null, rows.map((row) => h("tr", null, h("th", { scope: "row" }, row), columns.map((label) => {
        const found = at.get([label, down ? row : undefined].join("\n"));
        return h("td", null, found === undefined ? h("span", { class: "heat none" }, "–") : draw(found));
      }))))));
  box.style.setProperty("--columns", columns.length);
  box.style.setProperty("--head", headWidth(rows));
  return box;
}

function heatMap(metric, build, shown, filters) {
  const [across, down] = heatAxes();
  if (!across) return h("p", null, "All cells have the same settings: there is no grid to draw.");
  const others = DATA.axes.filter((axis) => axis !== across && axis !== down);
  const groups = new Map();
  DATA.cells.forEach((cell, place) => {
    if (others.some((axis) => filters[axis.name] && filters[axis.name] !== cell.axes[axis.name])) return;
    const key = others.map((axis) => `${readable(axis.name)} ${cell.axes[axis.name]}`).join(", ");
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(place);
  });
  const known = DATA.cells.map((_, cell) => valueOf(shown === "base" ? judged(build, metric, cell).before : build, metric, cell)).filter((value) => typeof value === "number");
  const range = [Math.min(...known), Math.max(...known)];
  const draw = (cell) => heatCell(cell, metric, build, shown, range);
  const maps = h("div", { class: "heats" }, [...groups].map(([key, cells]) => heatTable(key, cells, across, down, draw)));
  const detail = h("p", { class: "detail", id: "heat-detail" }, HEAT_HELP);
  // In sight while the reader is among the cells, and over nothing before and after.
  const stay = (isThere) => detail.classList.toggle("told", isThere);
  moveByArrows(maps, (cell) => { stay(true); detail.replaceChildren(...heatDetail(cell, metric, build)); });
  for (const name of ["pointerleave", "focusout"]) maps.addEventListener(name, () => stay(name === "pointerleave" && maps.contains(document.activeElement)));
  maps.style.setProperty("--columns", Math.max(...[...maps.children].map((map) => Number(map.style.getPropertyValue("--columns")))));
  maps.style.setProperty("--head", headWidth(down ? down.labels : []));
  return h("div", null, maps, detail);
}

const HEAT_HELP = "Point at a cell, or tab into the map and use the arrow keys: what it says is written here. Enter opens the cell's page.";

function heatDetail(cell, metric, build) {
  const words = heatWords(cell, metric, build);
  return [h("strong", null, words.place), ": ", words.outcome && `${words.outcome}, `, `${readable(DATA.metrics[metric].name)} ${words.numbers}`, words.ratio && `, ${words.ratio}`, " ", badge(words.verdict)].filter(Boolean);
}

const withUnit = (about) => `${readable(about.name)}${about.unit ? ` (${about.unit})` : ""}`;
const metricOptions = () => Object.keys(KINDS).concat("").flatMap((kind) => DATA.metrics.filter((metric) => (kind ? metric.kind === kind : !KINDS[metric.kind])).map((metric) => [metric.name, withUnit(metric)]));

// The heat map with its controls; its state is in the address.
function heatSection(metric, state, withMetric) {
  const { params } = state;
  const build = buildOf(params.get("build"));
  const shown = params.get("show") || "ratio";
  const used = heatAxes();
  const filters = Object.fromEntries(DATA.axes.filter((axis) => !used.includes(axis)).map((axis) => [axis.name, params.get(axis.name) || ""]));
  const about = DATA.metrics[metric];
  const bases = [...new Set(DATA.cells.map((_, cell) => judged(build, metric, cell).before))].filter((base) => base !== null);
  const against = bases.length ? `${buildName(build)} against ${bases.map(buildName).join(", ")}` : `${buildName(build)}, with no build before it`;
  return h("section", { "aria-labelledby": "heat-title", id: "heat" },
    h("h2", { id: "heat-title" }, `Heat map: ${withUnit(about)}, ${against}`),
    h("p", { class: "note" }, `${about.meaning} ${about.better === "none" ? "Neither way is better by itself." : `${about.better === "lower" ? "Lower" : "Higher"} is better.`}`),
    heatLegend(shown),
    h("div", { class: "controls" },
      withMetric && select("metric", about.name, metricOptions(), (value) => setState({ metric: value })),
      select(buildWord(), DATA.builds[build].name, DATA.builds.map((one) => [one.name, one.label]), (value) => setState({ build: value })),
      select("show", shown, SHOWN, (value) => setState({ show: value })),
      Object.entries(filters).map(([name, value]) => select(readable(name), value, [["", "all"], ...DATA.axes.find((axis) => axis.name === name).labels.map((label) => [label, label])], (chosen) => setState({ [name]: chosen })))),
    heatMap(metric, build, shown, filters));
}
