// Pages, the theme, and keeping the reader's place.

const PAGES = { overview: overviewPage, metric: metricPage, cells: cellsPage, cell: cellPage, about: aboutPage };
const TABS = [["overview", "Overview"], ["metric", "Metrics"], ["cells", "Cells"], ["about", "About"]];

function aboutPage() {
  const list = (title, lines) => {
    const items = h("ul", { class: "names" }, lines.map((line) => h("li", null, line)));
    return lines.length ? [h("h2", null, title), lines.length > MANY ? folded(`${lines.length}`, items) : items] : null;
  };
  return {
    title: "About",
    content: [
      h("h1", null, "About this report"),
      h("p", null, "The real SGLang scheduler, run on a CPU with a null model, under scripted pressure: pages and cached nodes are taken away from it, and what it then decides is recorded. Decisions, work and modelled time are exact: they are compared by equality. Host time is noisy: it is judged from interleaved pairs only."),
      DATA.grid_tests.length ? table({
        caption: "Host time over the grid", rows: DATA.grid_tests,
        columns: [
          { head: "metric", rowHeader: true, cell: (row) => readable(row.metric) }, { head: "where", cell: (row) => (row.axis_value ? `${readable(row.axis)} ${row.axis_value}` : "whole grid") },
          { head: "verdict", cell: (row) => badge(row.verdict) }, { head: "ratio", numeric: true, cell: (row) => times(row.ratio) },
          { head: "interval", numeric: true, cell: (row) => `${times(row.ci_low)} to ${times(row.ci_high)}` }, { head: "adjusted p", numeric: true, cell: (row) => number(row.p_adjusted) }, { head: "why", cell: (row) => row.reason },
        ],
      }) : null,
      list("Why this verdict", DATA.reasons),
      list("Notes", DATA.notes),
      h("h2", null, areReleases() ? "Releases" : "Builds"),
      folded(`all ${plural(DATA.builds.length, buildWord())}`, buildTable(DATA.builds.map((_, place) => place), false)),
      list("Results read", DATA.sessions.map((one) => `${one.name}: ${one.suite}${one.expected_cells ? `, ${plural(one.expected_cells, "cell")}` : ""}${one.complete === false ? ", not finished" : ""}`)),
      list("Not read", DATA.skipped.map((one) => `${one.place}: ${one.reason}`)),
      h("p", { class: "note" }, "Charts: uPlot, MIT licence. This page holds all it shows and loads nothing."),
    ],
  };
}

// The element with the focus, by what survives drawing anew.
function focusKey() {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const selector = element.dataset.focus ? `[data-focus="${element.dataset.focus}"]` : element.dataset.cell ? `[data-cell="${element.dataset.cell}"]` : element.name ? `[name="${element.name}"]` : null;
  return selector && { selector, at: element.type === "search" ? element.selectionStart : null };
}

let pageBefore = null;

function draw() {
  const state = readState();
  const kept = focusKey();
  const scrolls = [...document.querySelectorAll("main .scroll")].map((box) => box.scrollLeft);
  const page = (PAGES[state.page] || overviewPage)(state);
  const name = `${state.page}/${state.name}`;
  clearCharts();
  document.getElementById("content").replaceChildren(...page.content.flat(2).filter(Boolean));
  document.getElementById("pages").replaceChildren(...TABS.map(([tab, text]) => h("a", { href: link(tab), "aria-current": tab === state.page || (tab === "cells" && state.page === "cell") ? "page" : null }, text)));
  document.title = `${page.title} · ${DATA.verdict ? `${DATA.verdict}: ` : ""}${buildName(DATA.head)}`;
  document.getElementById("status").textContent = page.said || "";
  if (page.after) page.after();
  fitTables();
  if (pageBefore === name) {
    if (kept) {
      const element = document.querySelector(kept.selector);
      if (element) {
        element.focus({ preventScroll: true });
        if (kept.at !== null) element.setSelectionRange(kept.at, kept.at);
      }
    }
    document.querySelectorAll("main .scroll").forEach((box, place) => { box.scrollLeft = scrolls[place] || 0; });
  } else {
    if (pageBefore !== null) {
      scrollTo(0, 0);
      document.getElementById("content").focus({ preventScroll: true });
    }
  }
  pageBefore = name;
}

// The builds in sight depend on the page's width; another one draws anew, once it has settled.
function redrawWhenWider() {
  let [width, waiting] = [innerWidth, 0];
  return () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (innerWidth !== width) draw();
      width = innerWidth;
    }, 150);
  };
}

const THEMES = ["auto", "light", "dark"];

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  document.getElementById("theme").textContent = `Theme: ${theme}`;
  try { localStorage.setItem("exhausters-theme", theme); } catch { /* a page without storage still has themes */ }
  if (DATA) draw();
}

async function start() {
  let theme = "auto";
  try { theme = localStorage.getItem("exhausters-theme") || "auto"; } catch { /* as above */ }
  setTheme(THEMES.includes(theme) ? theme : "auto");
  document.getElementById("theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]));
  document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); document.getElementById("content").focus(); });
  try {
    await loadData();
  } catch (error) {
    document.getElementById("loading").textContent = `The data of this page cannot be read (${error}): a browser of 2023 or later is needed.`;
    return;
  }
  addEventListener("hashchange", draw);
  addEventListener("resize", redrawWhenWider());
  addEventListener("toggle", fitTables, true);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
  document.documentElement.dataset.ready = "yes";
}

start();
