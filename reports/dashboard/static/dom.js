// Elements and words. Texts only ever become text nodes: nothing in the data is read as markup.

const WORDS = { s: "same", b: "better", w: "worse", c: "changed", u: "undecided", x: "broken", "-": "not judged" };
const SIGNS = { same: "=", better: "✓", worse: "✗", changed: "≠", undecided: "?", broken: "!", mixed: "±", "not judged": "·", "trade-off": "±", unreached: "?", neutral: "≈", identical: "=" };
const KINDS = { decision: "decision", work: "work", modelled_time: "modelled time", host_time: "host time" };

function h(tag, given, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const hidden = (text) => h("span", { class: "hidden" }, text);

// A verdict is never shown by its colour alone.
const badge = (verdict, text) =>
  h("span", { class: `badge v-${verdict.replace(" ", "-")}` },
    h("span", { "aria-hidden": "true" }, SIGNS[verdict] || "·"), " ", text || verdict);

function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e9)) return value.toExponential(2);
  return value.toLocaleString("en", { maximumFractionDigits: size >= 1000 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 4 });
}

// At most eight characters, for a cell of a heat map.
function compact(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e12)) return value.toExponential(1);
  return size < 1e5 ? number(value) : value.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 4 });
}

function times(ratio) {
  if (ratio === null || ratio === undefined) return "–";
  if (ratio === 1) return "=";
  const far = Math.abs(ratio - 1);
  const text = ratio.toFixed(far < 0.01 ? 4 : far < 0.1 ? 3 : 2);
  return text === "1.0000" ? "≈ 1" : `×${text}`;
}

const readable = (name) => name.replaceAll("_", " ");
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

function select(label, value, options, change) {
  return h("label", { class: "field" }, label,
    h("select", { name: label, onchange: (event) => change(event.target.value) },
      options.map(([key, text]) => h("option", { value: key, selected: String(key) === String(value) }, text))));
}

function search(label, value, change) {
  let waiting = 0;
  return h("label", { class: "field grow" }, label,
    h("input", { type: "search", name: label, value: value || "", autocomplete: "off", oninput: (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => change(event.target.value), 150);
    } }));
}

function tick(label, on, change) {
  return h("label", { class: "field tick" }, h("input", { type: "checkbox", name: label, checked: Boolean(on), onchange: (event) => change(event.target.checked ? "1" : "") }), " ", label);
}

// A link out of the page. The addresses come from the configuration; anything but the web's is text.
const outside = (url, ...children) =>
  /^https?:\/\//.test(url || "") ? h("a", { href: url, rel: "noopener noreferrer", class: "out" }, ...children) : h("span", null, ...children);
