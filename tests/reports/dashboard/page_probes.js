// What tests ask of an open page: where its texts are, what cuts them, and how far they stand out from what is behind them.

(() => {
  const isVisible = (element) => {
    if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return false;
    return !element.closest(".hidden, .skip:not(:focus), [hidden]");
  };
  const isSeen = (element) => {
    for (let one = element; one; one = one.parentElement) {
      if (getComputedStyle(one).clipPath.startsWith("inset(50%")) return false;
    }
    return isVisible(element);
  };

  // Every piece of text that is drawn: {text, element, boxes}, one box for each line it takes.
  const texts = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
      const node = walker.currentNode;
      const element = node.parentElement;
      if (!node.data.trim() || element.closest("script, style, noscript, option, .uplot") || !isSeen(element)) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const boxes = [...range.getClientRects()].filter((box) => box.width > 0.5 && box.height > 0.5);
      if (boxes.length) found.push({ text: node.data.trim(), element, boxes });
    }
    return found;
  };

  const crosses = (one, other) => Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1 && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 3;
  const inFlow = (element) => !element.closest(".skip");

  // Pairs of texts that are drawn over each other.
  const overlaps = () => {
    const boxes = texts(document.body).filter(({ element }) => inFlow(element)).flatMap(({ text, boxes: own }) => own.map((box) => ({ text, box }))).sort((one, other) => one.box.top - other.box.top);
    const found = [];
    boxes.forEach((one, place) => {
      for (let next = place + 1; next < boxes.length && boxes[next].box.top < one.box.bottom; next += 1) {
        if (crosses(one.box, boxes[next].box)) found.push(`${one.text} | ${boxes[next].text}`);
      }
    });
    return found;
  };

  // Texts that leave the page, or the cell of a heat map that they belong to, or are hidden by a box that ends too early.
  const cuts = () => {
    const found = [];
    for (const { text, element, boxes } of texts(document.body)) {
      const owner = element.closest("a.heat, td, th, .badge, button");
      const frame = owner && owner.getBoundingClientRect();
      for (const box of boxes) {
        if (box.left < -0.5 || box.right > innerWidth + 0.5) found.push(`off the page: ${text}`);
        if (frame && (box.left < frame.left - 1 || box.right > frame.right + 1)) found.push(`out of its box: ${text}`);
      }
      for (let one = element; one && one !== document.body; one = one.parentElement) {
        const style = getComputedStyle(one);
        if (style.overflowX !== "visible" && one.scrollWidth > one.clientWidth + 1) found.push(`cut by ${one.className || one.tagName}: ${text}`);
      }
    }
    return [...new Set(found)];
  };

  const parse = (colour) => {
    const numbers = colour.match(/[\d.]+/g).map(Number);
    return { rgb: numbers.slice(0, 3), alpha: numbers.length > 3 ? numbers[3] : 1 };
  };
  const over = (top, below) => top.rgb.map((value, place) => value * top.alpha + below[place] * (1 - top.alpha));
  const behind = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) layers.push(parse(getComputedStyle(one).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const light = (rgb) => {
    const [red, green, blue] = rgb.map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [bright, dark] = [light(one), light(other)].sort((a, b) => b - a);
    return (bright + 0.05) / (dark + 0.05);
  };

  // Texts with less contrast than `least`, as WCAG 2 computes it.
  const faint = (least) => {
    const found = new Set();
    for (const { text, element } of texts(document.body)) {
      const ground = behind(element);
      const ratio = contrast(over(parse(getComputedStyle(element).color), ground), ground);
      if (ratio < least) found.add(`${ratio.toFixed(2)} ${element.className || element.tagName}: ${text}`);
    }
    return [...found];
  };

  // Of colours that only charts use: those with less contrast to the page than `least`.
  const faintColours = (names, least) => {
    const probe = document.createElement("span");
    document.body.append(probe);
    const found = names.filter((name) => {
      probe.style.color = `var(--${name})`;
      return contrast(parse(getComputedStyle(probe).color).rgb, behind(document.body)) < least;
    });
    probe.remove();
    return found;
  };

  // What the keyboard is on, and whether one sees it.
  let count = 0;
  const numbers = new WeakMap();
  const focused = () => {
    const element = document.activeElement;
    if (!numbers.has(element)) numbers.set(element, (count += 1));
    const style = getComputedStyle(element);
    return { name: element.outerHTML.slice(0, 120), outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth), number: numbers.get(element), isBody: element === document.body };
  };

  window.probes = { count: () => texts(document.body).length, overlaps, cuts, faint, faintColours, focused };
})();
