// A table that can be sorted by its headers. columns: [{id, head, label, about, cell(row), key(row), numeric, rowHeader}].
// Roles are spelled out, since a table that is laid out in another way (`fitTables`) loses those it has.

function sorted(rows, columns, sort) {
  const [by, direction] = (sort || "").split(":");
  const column = columns.find((one) => one.id === by);
  if (!column) return rows;
  const way = direction === "down" ? -1 : 1;
  return [...rows].sort((one, other) => {
    const [a, b] = [column.key(one), column.key(other)];
    if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
    if (b === null || b === undefined) return -1;
    return way * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
  });
}

function heading(column, sort, onsort) {
  const [by, direction] = (sort || "").split(":");
  const order = column.id !== undefined && column.id === by ? (direction === "down" ? "descending" : "ascending") : null;
  const mark = order ? (order === "ascending" ? " ▲" : " ▼") : "";
  const isSortable = column.key && onsort;
  return h("th", { scope: "col", role: "columnheader", class: column.numeric ? "num" : null, "aria-sort": order, title: column.about },
    isSortable
      ? h("button", { type: "button", class: "sort", "data-focus": `sort-${column.id}`, onclick: () => onsort(`${column.id}:${order === "ascending" ? "down" : "up"}`) },
        column.head, h("span", { "aria-hidden": "true" }, mark))
      : column.head);
}

function table({ caption, columns, rows, sort, onsort, className, empty }) {
  const cell = (row, column) => {
    const kind = { class: column.numeric ? "num" : null };
    if (column.rowHeader) return h("th", { ...kind, scope: "row", role: "rowheader" }, column.cell(row));
    return h("td", { ...kind, role: "cell", "data-label": column.label || column.head }, column.cell(row));
  };
  const body = rows.length
    ? sorted(rows, columns, sort).map((row) => h("tr", { role: "row" }, columns.map((column) => cell(row, column))))
    : h("tr", { role: "row" }, h("td", { role: "cell", colspan: columns.length, class: "empty" }, empty || "Nothing matches."));
  const isSortable = onsort && columns.some((column) => column.key);
  return h("div", { class: "scroll", "data-caption": caption },
    h("table", { role: "table", class: `${className || ""} ${isSortable ? "sortable" : ""}`.trim() || null },
      h("caption", null, h("span", null, caption)),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map((column) => heading(column, sort, onsort)))),
      h("tbody", { role: "rowgroup" }, body)));
}

// A table whose columns do not fit, and any table on a phone, has its rows as blocks. What still scrolls can be reached by
// keyboard; what does not is no tab stop.
const NARROW = 640;

function fitTables() {
  for (const box of document.querySelectorAll("main .scroll")) {
    const own = box.querySelector("table[role=table]:not(.releases)");
    if (own) own.classList.toggle("stacked", innerWidth <= NARROW);
    if (own && box.scrollWidth > box.clientWidth + 1) own.classList.add("stacked");
    const scrolls = box.scrollWidth > box.clientWidth + 1;
    for (const [name, value] of [["tabindex", "0"], ["role", "region"], ["aria-label", box.dataset.caption]]) {
      if (scrolls) box.setAttribute(name, value);
      else box.removeAttribute(name);
    }
  }
}
