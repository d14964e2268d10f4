// What changed by as much as matters, over a workload: a bar for each outcome and each cost.

const EFFECT_ORDER = ["broken", "worse", "undecided", "better", "changed", "neutral"];
const FIRST_EFFECTS = 12;
const SVG = "http://www.w3.org/2000/svg";

function shape(tag, given) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(given)) element.setAttribute(name, String(value));
  return element;
}

// A workload that "changed" because one of its settings got worse or better is told by that setting.
function isTold(effect) {
  return effect.verdict === "changed" && !effect.settings
    && DATA.effects.some((other) => other.settings && other.metric === effect.metric && other.workload === effect.workload && other.verdict !== "neutral");
}

function shownEffects(every) {
  const place = (effect) => { const found = EFFECT_ORDER.indexOf(effect.verdict); return found < 0 ? EFFECT_ORDER.length : found; };
  return DATA.effects.filter((effect) => every || (effect.verdict !== "neutral" && !isTold(effect))).sort((one, other) => place(one) - place(other));
}

// Percent at either end of the scale: one, two or five with zeros, and never more than a hundred.
function scaleOf(effects) {
  const most = Math.max(0.001, ...effects.map((effect) => Math.abs(effect.size ?? 0)), ...effects.map((effect) => effect.threshold)) * 100;
  if (most > 100) return 100;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((end) => end >= most * 0.999) || most;
}

const percent = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toLocaleString("en", { maximumSignificantDigits: 3 })} %`;

function effectBar(effect, end) {
  const at = (fraction) => 100 + 98 * Math.max(-1, Math.min(1, (fraction * 100) / end));
  const size = effect.size ?? (effect.text.startsWith("0 to") ? Infinity : -Infinity);
  const picture = shape("svg", { viewBox: "0 0 200 20", preserveAspectRatio: "none", class: "bar", "aria-hidden": "true", focusable: "false" });
  const [from, to] = [Math.min(100, at(size)), Math.max(100, at(size))];
  picture.append(
    shape("rect", { x: at(-effect.threshold), y: 0, width: at(effect.threshold) - at(-effect.threshold), height: 20, class: "limits" }),
    shape("rect", { x: from, y: 4, width: Math.max(1, to - from), height: 12, class: `fill-${effect.verdict.replace(" ", "-")}` }),
    shape("line", { x1: 100, x2: 100, y1: 0, y2: 20, class: "zero" }),
  );
  return picture;
}

function effectTable(effects, end, caption) {
  const more = (way) => (effects.some((effect) => effect.size === null || effect.size * way * 100 > end * 1.001) ? " or more" : "");
  const ends = [`${percent(-end)}${more(-1)}`, "0", `${percent(end)}${more(1)}`];
  const where = (effect) => [effect.workload, effect.settings && ` ${effect.settings}`, h("span", { class: "unit" }, effect.pressures.length && effect.pressures.length < 3 ? ` ${effect.pressures.map((one) => `${one} pressure`).join(", ")}` : "")];
  return table({
    caption, className: "effects", rows: effects,
    columns: [
      { head: "metric", rowHeader: true, cell: (effect) => [effect.metric in DATA.metricNumber ? h("a", { href: link("metric", effect.metric) }, readable(effect.metric)) : readable(effect.metric), h("span", { class: "unit" }, ` ${effect.role}`)] },
      { head: "workload", cell: where },
      { head: h("span", { class: "scale" }, ends.map((text) => h("span", null, text))), label: `scale: ${ends[0]} to ${ends[2]}`, cell: (effect) => effectBar(effect, end) },
      { head: "change", numeric: true, cell: (effect) => effect.text },
      { head: "verdict", cell: (effect) => badge(effect.verdict) },
    ],
  });
}

function effectSection(state) {
  if (DATA.base === null) return null;
  const every = state.params.get("effects") || "";
  const effects = shownEffects(every);
  const end = scaleOf(effects);
  const [first, rest] = [effects.slice(0, FIRST_EFFECTS), effects.slice(FIRST_EFFECTS)];
  const caption = `Change of ${buildName(DATA.head)} against ${buildName(DATA.base)}, the mean over a workload's cells`;
  return h("section", { "aria-labelledby": "effects-title" },
    h("h2", { id: "effects-title" }, "What changed"),
    DATA.effects.length
      ? [
        legend([
          [swatch("fill", "worse"), "got worse"], [swatch("fill", "better"), "got better"], [swatch("fill", "changed"), "changed, neither way is better"],
          [swatch("limits"), "within the smallest effect that matters"],
        ]),
        h("div", { class: "controls" }, tick("what does not matter too", every, (value) => setState({ effects: value }))),
        first.length ? effectTable(first, end, caption) : h("p", null, "No outcome and no cost of a workload changed by as much as matters."),
        rest.length ? h("details", null, h("summary", null, `${rest.length} more`), effectTable(rest, end, `${caption}, the rest`)) : null,
      ]
      : h("p", null, "No outcome and no cost of a workload differs."));
}
