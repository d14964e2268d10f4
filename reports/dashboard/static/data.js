// The page's data, and its state, which is all in the address: #/page/name?key=value.

let DATA = null;

async function loadData() {
  const packed = document.getElementById("data").textContent;
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  DATA = JSON.parse(await new Response(stream).text());
  DATA.metricNumber = Object.fromEntries(DATA.metrics.map((metric, place) => [metric.name, place]));
  DATA.cellNumber = Object.fromEntries(DATA.cells.map((cell, place) => [cell.id, place]));
}

function readState() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  return { page: parts[0] || "overview", name: parts.slice(1).join("/"), params: new URLSearchParams(query || "") };
}

function link(page, name, params) {
  const query = new URLSearchParams(Object.entries(params || {}).filter(([, value]) => value !== "" && value !== null && value !== undefined)).toString();
  const path = page === "overview" ? "" : page + (name ? `/${encodeURIComponent(name)}` : "");
  return `#/${path}${query ? `?${query}` : ""}`;
}

// Change part of the state in place; what is empty leaves the address.
function setState(changes) {
  const { page, name, params } = readState();
  const all = { ...Object.fromEntries(params), ...changes };
  history.replaceState(null, "", link(page, name, all));
  draw();
}

// The metric of that name; without one the first of the first screen that the head has values of.
function metricOf(name) {
  if (name in DATA.metricNumber) return DATA.metricNumber[name];
  const known = DATA.metrics.findIndex((metric, place) => metric.key && DATA.values[DATA.head][place].some((value) => value !== null));
  return known >= 0 ? known : DATA.metrics.findIndex((metric) => metric.key);
}
const buildOf = (text) => {
  const place = DATA.builds.findIndex((build) => build.name === text);
  return place >= 0 ? place : DATA.head;
};
const buildName = (place) => DATA.builds[place].label;
const letterOf = (build, metric, cell) => DATA.letters[build][metric][cell] || "-";
// What a value is judged against: in head that of base, in any other build that of the last one before that measured it.
function judged(build, metric, cell) {
  const { compared, before: builds } = DATA;
  if (compared && build === DATA.head) return { before: DATA.base, ratio: compared.ratios[metric][cell], verdict: WORDS[compared.letters[metric][cell]] };
  const before = builds[build][metric];
  return { before: Array.isArray(before) ? before[cell] : before, ratio: DATA.ratios[build][metric][cell], verdict: WORDS[letterOf(build, metric, cell)] };
}
const valueOf = (build, metric, cell) => (build === null ? null : DATA.values[build][metric][cell]);
const verdictOf = (cell) => (DATA.facts[cell] ? DATA.facts[cell].verdict : "not judged");
const axisText = (cell, without) => DATA.axes.filter((axis) => !(without || []).includes(axis.name)).map((axis) => `${readable(axis.name)} ${DATA.cells[cell].axes[axis.name]}`).join(", ");

// How many cells got worse, better or just changed in one build, in words.
function changedCells(build, metric) {
  const trend = DATA.trend;
  const parts = ["worse", "better", "changed"].filter((word) => trend[word][build][metric]).map((word) => `${word} in ${plural(trend[word][build][metric], "cell")}`);
  return parts.join(", ");
}

// The word for a metric over all cells; "mixed" where some got worse and some better.
function overall(build, metric) {
  const trend = DATA.trend;
  const [worse, better, changed] = ["worse", "better", "changed"].map((word) => trend[word][build][metric]);
  if (!worse && !better && !changed) return null;
  if (worse && better) return "mixed";
  return worse ? "worse" : better ? "better" : changed ? "changed" : null;
}
