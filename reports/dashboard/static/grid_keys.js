// A heat map by keyboard: one tab stop, arrow keys from cell to cell, Home and End along a row.

const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

// The rows of all maps below `box`, top to bottom; a place without a cell is null.
const gridRows = (box) => [...box.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("td")].map((cell) => cell.querySelector("a.heat")));

// The next cell that is there in a direction; at the end of a map the next map goes on.
function nextInGrid(rows, from, [down, right]) {
  let row = rows.findIndex((cells) => cells.includes(from));
  let column = rows[row].indexOf(from);
  for (;;) {
    row += down;
    column += right;
    if (!rows[row] || column < 0 || column >= Math.max(...rows.map((cells) => cells.length))) return null;
    const found = rows[row][Math.min(column, down ? rows[row].length - 1 : column)];
    if (found) return found;
  }
}

// `told(cell)` is called with the number of the cell that has the focus or the pointer.
function moveByArrows(box, told) {
  const cells = () => [...box.querySelectorAll("a.heat")];
  const enter = (element) => {
    cells().forEach((cell) => cell.setAttribute("tabindex", cell === element ? "0" : "-1"));
  };
  const first = cells()[0];
  if (first) enter(first);
  box.addEventListener("keydown", (event) => {
    const from = event.target.closest("a.heat");
    if (!from || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = [...from.closest("tr").querySelectorAll("a.heat")];
    const to = event.key === "Home" ? row[0] : event.key === "End" ? row[row.length - 1] : ARROWS[event.key] ? nextInGrid(gridRows(box), from, ARROWS[event.key]) : null;
    if (!to) return;
    event.preventDefault();
    to.focus();
  });
  for (const name of ["focusin", "pointerover"]) {
    box.addEventListener(name, (event) => {
      const cell = event.target.closest("a.heat");
      if (!cell) return;
      if (name === "focusin") enter(cell);
      told(Number(cell.dataset.cell));
    });
  }
}
