// One cell: what its scheduler did over the steps in both builds, where they diverge, and all its metrics.

function cellPage(state) {
  const cell = DATA.cellNumber[state.name];
  if (cell === undefined) return { title: "No such cell", content: [h("h1", null, "No such cell"), h("p", null, state.name)] };
  const facts = DATA.facts[cell];
  const after = [];
  const neighbour = (step, text) => {
    const other = DATA.cells[cell + step];
    return other && h("a", { href: link("cell", other.id, Object.fromEntries(state.params)) }, text);
  };
  return {
    title: `Cell ${state.name}`,
    content: [
      h("p", { class: "crumbs" }, h("a", { href: link("cells") }, "All cells"), " ", neighbour(-1, "← previous"), " ", neighbour(1, "next →")),
      h("h1", { class: "cell-title" }, badge(verdictOf(cell)), " ", h("span", null, axisText(cell) || state.name)),
      h("p", { class: "note" }, h("code", null, state.name)),
      facts && facts.reason ? h("p", null, facts.reason) : null,
      divergenceWords(cell),
      timelineSection(cell, after),
      cellHistory(cell, state, after),
      divergenceSection(cell),
      cellMetrics(cell, state),
    ],
    after: () => after.forEach((action) => action()),
  };
}

const most = (lines, names) => Math.max(0, ...lines.flatMap((line) => names.flatMap((name) => line[name])));

function timelineSection(cell, after) {
  const sides = [["base", DATA.base], ["head", DATA.head]].filter(([name, build]) => build !== null && DATA.timelines[name] && DATA.timelines[name][cell]).map(([name, build]) => ({ name, build, line: DATA.timelines[name][cell] }));
  if (!sides.length) return h("section", null, h("h2", null, "Decisions over the steps"), h("p", null, "There is no decision log of this cell."));
  const lines = sides.map((side) => side.line);
  const divergence = DATA.divergences[cell];
  const last = Math.max(...lines.map((line) => line.steps));
  const common = { last, divergence: divergence ? divergence.step : null };
  const windows = [...new Set(lines.map((line) => line.window))].filter((window) => window > 1);
  return h("section", { "aria-labelledby": "steps-title" },
    h("h2", { id: "steps-title" }, "Decisions over the steps"),
    h("p", { class: "note" }, "Pools are in KV tokens; batch and waiting are requests.",
      windows.length ? ` One point stands for ${windows.join(" or ")} steps: the largest value in them, of free tokens the smallest.` : ""),
    legend([
      [h("span", { class: "mark retraction", "aria-hidden": "true" }, "▼"), "a request is retracted"], [h("span", { class: "mark eviction", "aria-hidden": "true" }, "▮"), "tokens are evicted"],
      common.divergence !== null && [swatch("dashes", "text"), `step ${common.divergence}, where the builds diverge`],
    ], "Legend of the timelines"),
    h("div", { class: "sides" }, sides.map(({ name, build, line }) => {
      const boxes = [h("div", { class: "chart", role: "img", "aria-label": `Batch size, waiting requests and tokens over ${line.steps} steps of ${buildName(build)}` }), h("div", { class: "chart", role: "img", "aria-label": `Free, evictable, protected and held tokens over ${line.steps} steps of ${buildName(build)}` })];
      after.push(() => {
        timelineChart(boxes[0], line, LOADS, { ...common, unit: "requests", right: "tokens", top: { left: most(lines, ["batch", "waiting"]), right: most(lines, ["tokens"]) } });
        timelineChart(boxes[1], line, POOLS, { ...common, unit: "KV tokens", top: { left: most(lines, POOLS) } });
      });
      return h("div", { class: "side" }, h("h3", null, `${name === "base" ? "Base" : "Head"}: ${buildName(build)}`, h("span", { class: "quiet-text" }, ` · ${plural(line.steps, "step")}`)), boxes, timelineTable(line, build));
    })));
}

function timelineTable(line, build) {
  const holder = h("details", { ontoggle: (event) => {
    if (!event.target.open || event.target.childElementCount > 1) return;
    const names = [...LOADS, ...POOLS, "retractions", "evicted"];
    event.target.append(table({
      caption: `Steps of ${buildName(build)}`, rows: line.first.map((_, place) => place),
      columns: [{ head: "step", rowHeader: true, cell: (place) => number(line.first[place]) }, ...names.map((name) => ({ head: name, numeric: true, cell: (place) => number(line[name][place]) }))],
    }));
  } }, h("summary", null, "The same as a table"));
  return holder;
}

function brief(value) {
  const text = value === null ? "none" : Array.isArray(value) ? (value.length ? `[${value.length}] ${value.join(", ")}` : "none") : typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > 90 ? [text.slice(0, 88), "…"].join("") : text;
}

// The answer of a cell: whether, and where, its builds first decide differently.
function divergenceWords(cell) {
  const divergence = DATA.divergences[cell];
  if (DATA.base === null) return null;
  if (!divergence) return h("p", { class: "answer" }, "Every decision is the same in both builds.");
  if (divergence.step === null) return h("p", { class: "answer" }, divergence.problem);
  return h("p", { class: "answer" }, `Decisions first differ at step ${divergence.step}: `, divergence.field_names.length ? divergence.field_names.map(readable).join(", ") : "one of the logs ends", ".");
}

function divergenceSection(cell) {
  const divergence = DATA.divergences[cell];
  if (DATA.base === null || !divergence || divergence.step === null) return null;
  const title = h("h2", { id: "divergence-title" }, "First divergence");
  const steps = [...new Set([...divergence.base, ...divergence.head].map((record) => record.step))].sort((one, other) => one - other);
  const names = Object.keys(divergence.base[0] || divergence.head[0] || {}).filter((name) => name !== "step");
  const rows = steps.flatMap((step) => {
    const [ours, theirs] = [divergence.base, divergence.head].map((records) => records.find((record) => record.step === step));
    return names.map((name) => ({ step, name, ours: ours ? brief(ours[name]) : "ended", theirs: theirs ? brief(theirs[name]) : "ended", differs: JSON.stringify(ours && ours[name]) !== JSON.stringify(theirs && theirs[name]) }));
  });
  const mark = (row, text) => (row.differs ? h("mark", null, text) : text);
  const columns = [
    { head: "step", numeric: true, rowHeader: true, cell: (row) => (row.name === names[0] ? String(row.step) : hidden(String(row.step))) },
    { head: "field", cell: (row) => readable(row.name) },
    { head: buildName(DATA.base), cell: (row) => mark(row, row.ours) },
    { head: buildName(DATA.head), cell: (row) => mark(row, row.theirs) },
  ];
  const at = (step) => rows.filter((row) => row.step === step && (row.differs || row.name === "mode" || row.name === "tokens"));
  return h("section", { "aria-labelledby": "divergence-title" }, title,
    table({ caption: `Step ${divergence.step}, side by side`, rows: at(divergence.step), columns: columns.slice(1).map((column, place) => (place ? column : { ...column, rowHeader: true })), className: "divergence" }),
    h("details", null, h("summary", null, "The steps around it"), table({ caption: "Steps around the divergence", rows, columns, className: "divergence" })));
}

function cellHistory(cell, state, after) {
  if (DATA.builds.length < 2) return null;
  const metric = metricOf(state.params.get("metric"));
  const about = DATA.metrics[metric];
  const points = DATA.builds.map((_, build) => DATA.values[build][metric][cell]);
  const none = points.map(() => null);
  const marks = DATA.builds.map((_, build) => ({ build, verdict: WORDS[letterOf(build, metric, cell)] })).filter(({ verdict }) => ["worse", "better", "changed", "broken"].includes(verdict));
  const box = h("div", { class: "chart", role: "img", "aria-label": `${readable(about.name)} of this cell over ${plural(DATA.builds.length, buildWord())}: ${points.map((value, build) => `${buildName(build)} ${number(value)}`).join(", ")}` });
  after.push(() => historyChart(box, { label: readable(about.name), axis: about.unit || readable(about.name), points, low: none, high: none, marks, band: "" }));
  return h("section", { "aria-labelledby": "cell-history" },
    h("h2", { id: "cell-history" }, `History: ${withUnit(about)}`),
    h("div", { class: "controls" }, select("metric", about.name, metricOptions(), (value) => setState({ metric: value }))),
    box, historyLegend({ line: `${readable(about.name)} of this cell`, band: null, marks }));
}

function cellMetrics(cell, state) {
  const { params } = state;
  const every = params.get("every") || "";
  const text = (params.get("find") || "").toLowerCase();
  const found = {};
  if (DATA.details) DATA.details.cell.forEach((place, row) => { if (place === cell) found[DATA.details.metric[row]] = row; });
  const detail = (metric, name) => (metric in found ? DATA.details[name][found[metric]] : null);
  const rows = DATA.metrics.map((about, metric) => ({ about, metric, ...judged(DATA.head, metric, cell) }))
    .filter(({ about, verdict }) => (every || text || (verdict !== "same" && verdict !== "not judged")) && (!text || readable(about.name).includes(text)));
  const value = (build) => ({ metric }) => valueOf(build, metric, cell);
  const base = ({ metric, before }) => valueOf(before, metric, cell);
  // The build before did not measure this cell: an earlier one stands in for it.
  const earlier = ({ before }) => (DATA.base !== null && before !== null && before !== DATA.base ? `base is ${buildName(before)}, the last build that measured it` : "");
  return h("section", { "aria-labelledby": "metrics-title" },
    h("h2", { id: "metrics-title" }, "Metrics"),
    h("div", { class: "controls" }, search("find a metric", params.get("find"), (given) => setState({ find: given })), tick("unchanged too", every, (given) => setState({ every: given }))),
    table({
      caption: DATA.base === null ? "Metrics of this cell" : `Metrics of this cell, ${buildName(DATA.head)} against ${buildName(DATA.base)}`, rows, sort: params.get("sort"), onsort: (given) => setState({ sort: given }), empty: "No metric changed.",
      columns: [
        { id: "metric", head: "metric", rowHeader: true, key: ({ about }) => about.name, cell: ({ about }) => [h("a", { href: link("metric", about.name, {}), title: about.meaning }, readable(about.name)), h("span", { class: "unit" }, ` ${about.unit}`)] },
        { id: "verdict", head: "verdict", key: ({ verdict }) => verdict, cell: ({ metric, verdict }) => badge(verdict, detail(metric, "waived") ? `${verdict} (waived)` : verdict) },
        { id: "base", head: "base", numeric: true, key: base, cell: (row) => number(base(row)) },
        { id: "head", head: "head", numeric: true, key: value(DATA.head), cell: (row) => number(value(DATA.head)(row)) },
        { id: "ratio", head: "ratio", numeric: true, key: ({ ratio }) => ratio, cell: ({ ratio }) => times(ratio) },
        { head: "interval", numeric: true, cell: ({ metric }) => (detail(metric, "ci_low") === null ? "–" : `${times(detail(metric, "ci_low"))} to ${times(detail(metric, "ci_high"))}`) },
        { head: "why", cell: (row) => detail(row.metric, "waived") || detail(row.metric, "reason") || earlier(row) || "–" },
      ],
    }));
}
