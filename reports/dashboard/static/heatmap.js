// leave_pages x leave_refs, one small table for each combination of the other axes.

const SHOWN = [["ratio", "ratio"], ["head", "head"], ["base", "base"]];
const PREFERRED = ["leave_pages", "leave_refs"];

function heatAxes() {
  const names = DATA.axes.map((axis) => axis.name);
  const wanted = [...PREFERRED.filter((name) => names.includes(name)), ...names.filter((name) => !PREFERRED.includes(name))];
  return wanted.slice(0, 2).map((name) => DATA.axes.find((axis) => axis.name === name));
}

// How far from 1 a ratio is, in four depths of colour.
const depth = (ratio) => {
  if (ratio === null) return 2;
  const size = Math.abs(Math.log(ratio || 1e-9));
  return size < 0.02 ? 1 : size < 0.1 ? 2 : size < 0.35 ? 3 : 4;
};

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
  const main = failed && shown !== "base" ? outcome || "missing" : shown === "ratio" ? (ratio === null && build > 0 ? number(after) : times(ratio)) : number(value);
  const label = `${axisText(cell)}: ${failed ? outcome || "missing" : ""} ${base === null ? "" : `${buildName(base)} ${number(before)}, `}${buildName(build)} ${number(after)}, ratio ${times(ratio)}, ${verdict}`;
  return h("a", { class: `heat ${failed ? "failed" : kind}`, href: link("cell", DATA.cells[cell].id, { metric: DATA.metrics[metric].name }), "aria-label": label, title: label },
    h("span", { class: "big" }, verdict !== "same" && verdict !== "not judged" && shown === "ratio" ? `${SIGNS[verdict]} ` : "", main),
    h("span", { class: "small" }, `${number(before)} → ${number(after)}`));
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
  return h("div", { class: "heats" }, [...groups].map(([key, cells]) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Heat map ${key}` },
    h("table", { class: "heatmap" },
      h("caption", null, key || "All cells"),
      h("thead", null, h("tr", null, h("th", { scope: "col", class: "corner" }, down ? `${readable(down.name)} ↓ ` : "", `${readable(across.name)} →`), across.labels.map((label) => h("th", { scope: "col" }, label)))),
      h("tbody", null, (down ? down.labels : [""]).map((row) => h("tr", null, h("th", { scope: "row" }, row), across.labels.map((label) => {
        const found = cells.find((cell) => DATA.cells[cell].axes[across.name] === label && (!down || DATA.cells[cell].axes[down.name] === row));
        return h("td", null, found === undefined ? h("span", { class: "heat none" }, "–") : heatCell(found, metric, build, shown, range));
      }))))))));
}

const metricOptions = () => Object.keys(KINDS).concat("").flatMap((kind) => DATA.metrics.filter((metric) => (kind ? metric.kind === kind : !KINDS[metric.kind])).map((metric) => [metric.name, `${readable(metric.name)}${metric.unit ? ` (${metric.unit})` : ""}`]));

// The heat map with its controls; its state is in the address.
function heatSection(metric, state, withMetric) {
  const { params } = state;
  const build = buildOf(params.get("build"));
  const shown = params.get("show") || "ratio";
  const used = heatAxes();
  const filters = Object.fromEntries(DATA.axes.filter((axis) => !used.includes(axis)).map((axis) => [axis.name, params.get(axis.name) || ""]));
  const about = DATA.metrics[metric];
  const bases = [...new Set(DATA.cells.map((_, cell) => judged(build, metric, cell).before))].filter((base) => base !== null);
  const before = bases.length ? `${buildName(build)} against ${bases.map(buildName).join(", ")}` : `${buildName(build)}, with no build before it`;
  return h("section", { "aria-labelledby": "heat-title", id: "heat" },
    h("h2", { id: "heat-title" }, `Heat map: ${readable(about.name)}, ${before}`),
    h("p", { class: "note" }, `${about.meaning} ${about.unit ? `In ${about.unit}; ` : ""}${about.better === "none" ? "neither way is better by itself." : `${about.better} is better.`} Choose a cell to open its page.`),
    h("div", { class: "controls" },
      withMetric && select("metric", about.name, metricOptions(), (value) => setState({ metric: value })),
      select("release", buildName(build), DATA.builds.map((one) => [one.name, one.name]), (value) => setState({ build: value })),
      select("show", shown, SHOWN, (value) => setState({ show: value })),
      Object.entries(filters).map(([name, value]) => select(readable(name), value, [["", "all"], ...DATA.axes.find((axis) => axis.name === name).labels.map((label) => [label, label])], (chosen) => setState({ [name]: chosen })))),
    heatMap(metric, build, shown, filters));
}
