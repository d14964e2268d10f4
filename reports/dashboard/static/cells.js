// All cells in one table, with filters by axis and verdict, and search.

const countMetrics = (cell, verdict) => DATA.metrics.reduce((sum, _, metric) => sum + (judged(DATA.head, metric, cell).verdict === verdict ? 1 : 0), 0);

function cellsPage(state) {
  const { params } = state;
  const text = (params.get("q") || "").toLowerCase();
  const verdict = params.get("verdict") || "";
  const rows = DATA.cells.map((cell, place) => ({ cell, place })).filter(({ cell, place }) =>
    (!text || cell.id.toLowerCase().includes(text)) && (!verdict || verdictOf(place) === verdict)
    && DATA.axes.every((axis) => !params.get(axis.name) || params.get(axis.name) === cell.axes[axis.name]));
  const order = (axis) => ({ cell }) => axis.labels.indexOf(cell.axes[axis.name]);
  const columns = [
    { id: "cell", head: "cell", rowHeader: true, key: ({ cell }) => cell.id, cell: ({ cell }) => h("a", { href: link("cell", cell.id, {}) }, cell.id) },
    { id: "verdict", head: "verdict", key: ({ place }) => verdictOf(place), cell: ({ place }) => badge(verdictOf(place)) },
    { id: "worse", head: "worse", numeric: true, key: ({ place }) => countMetrics(place, "worse"), cell: ({ place }) => countMetrics(place, "worse") || "–" },
    { id: "better", head: "better", numeric: true, key: ({ place }) => countMetrics(place, "better"), cell: ({ place }) => countMetrics(place, "better") || "–" },
    { id: "outcome", head: "outcome", key: ({ place }) => DATA.outcomes[DATA.head][place], cell: ({ place }) => DATA.outcomes[DATA.head][place] || "missing" },
    ...DATA.axes.map((axis) => ({ id: axis.name, head: readable(axis.name), key: order(axis), cell: ({ cell }) => cell.axes[axis.name] })),
  ];
  const words = [...new Set(DATA.cells.map((_, place) => verdictOf(place)))];
  return {
    title: "Cells",
    said: `${plural(rows.length, "cell")} shown`,
    content: [
      h("h1", null, "Cells"),
      h("div", { class: "controls" },
        search("find a cell", params.get("q"), (value) => setState({ q: value })),
        select("verdict", verdict, [["", "all"], ...words.map((word) => [word, word])], (value) => setState({ verdict: value })),
        DATA.axes.map((axis) => select(readable(axis.name), params.get(axis.name) || "", [["", "all"], ...axis.labels.map((label) => [label, label])], (value) => setState({ [axis.name]: value })))),
      table({ caption: `${rows.length} of ${plural(DATA.cells.length, "cell")}; worse and better count metrics`, className: "cells", columns, rows, sort: params.get("sort"), onsort: (value) => setState({ sort: value }) }),
    ],
  };
}
