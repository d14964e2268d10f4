// Lines, by uPlot. Colours are the page's own, so a chart follows the theme.

const charts = [];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function clearCharts() {
  while (charts.length) charts.pop().destroy();
}

// Draw into an element that is already in the page; it is drawn again when the page's width changes.
function chart(box, options, columns) {
  const width = () => Math.max(240, Math.floor(box.clientWidth));
  const plot = new uPlot({ width: width(), ...options }, columns, box);
  const watch = new ResizeObserver(() => {
    if (Math.abs(plot.width - width()) > 1) plot.setSize({ width: width(), height: options.height });
  });
  watch.observe(box);
  charts.push({ destroy: () => { watch.disconnect(); plot.destroy(); } });
  return plot;
}

const FONT = "12px system-ui, sans-serif";
// Every axis says what it counts, and in which unit.
const axisStyle = (extra) => ({ stroke: colour("muted"), font: FONT, labelFont: FONT, labelSize: 18, labelGap: 2, grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 }, ...extra });

// A line over the builds. points, low, high: one value a build; marks: [{build, verdict, isShort}]; axis: what the line is, and its unit.
function historyChart(box, { label, axis, points, low, high, marks, band }) {
  const names = DATA.builds.map((build) => build.label);
  const widest = 7 * Math.max(...names.map((name) => name.length));
  const hasBand = low.some((value, place) => value !== null && high[place] !== null && value !== high[place]);
  const series = [{ label: "build", value: (_, value) => (value === null ? "–" : names[value]) },
    { label, stroke: colour("head"), width: 2, points: { show: true, size: areMany() ? 4 : 7, fill: colour("head") }, value: (_, value) => number(value), spanGaps: true }];
  const columns = [names.map((_, place) => place), points];
  const extra = {};
  if (hasBand) {
    const edge = { stroke: "transparent", width: 0, points: { show: false }, value: (_, value) => number(value) };
    series.push({ ...edge, label: `${band}: to` }, { ...edge, label: "from" });
    columns.push(high, low);
    extra.bands = [{ series: [2, 3], fill: colour("band") }];
  }
  const drawMarks = (plot) => {
    let signed = -Infinity;
    for (const { build, verdict, isShort } of marks) {
      const { ctx } = plot;
      const x = Math.round(plot.valToPos(build, "x", true));
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colour(verdict);
      ctx.lineWidth = devicePixelRatio;
      if (!isShort) ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, plot.bbox.top);
      ctx.lineTo(x, plot.bbox.top + (isShort ? 6 * devicePixelRatio : plot.bbox.height));
      ctx.stroke();
      if (isShort) {
        ctx.restore();
        continue;
      }
      ctx.font = `bold ${13 * devicePixelRatio}px system-ui, sans-serif`;
      ctx.textAlign = "center";
      // Two signs never stand in one another.
      if (x - signed >= 13 * devicePixelRatio) {
        ctx.fillText(SIGNS[verdict], x, plot.bbox.top - 4 * devicePixelRatio);
        signed = x;
      }
      ctx.restore();
    }
  };
  return chart(box, {
    height: 280,
    padding: [22, Math.max(24, Math.ceil(widest / 2)), 0, 0],
    series,
    scales: { x: { time: false, range: [-0.3, names.length - 0.7] } },
    axes: [
      axisStyle({ label: `${buildWord()}, oldest first`, size: 32, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], space: Math.max(58, widest + 8), values: (_, splits) => splits.map((at) => names[at] ?? "") }),
      axisStyle({ label: axis, size: 64, values: (_, splits) => splits.map(compact) }),
    ],
    hooks: { draw: [drawMarks] },
    ...extra,
  }, columns);
}

const POOLS = ["free", "evictable", "protected", "held"];
const LOADS = ["tokens", "batch", "waiting"];

// One build's timeline: either the pools or the load. marks: retractions, evictions, and the step of the first divergence.
// unit: of the left axis; that of the right one is tokens.
function timelineChart(box, line, names, { top, last, divergence, right, unit }) {
  const drawMarks = (plot) => {
    const { ctx } = plot;
    const scale = devicePixelRatio;
    const at = (step) => Math.round(plot.valToPos(step, "x", true));
    ctx.save();
    ctx.beginPath();
    ctx.rect(plot.bbox.left, 0, plot.bbox.width, plot.bbox.top + plot.bbox.height);
    ctx.clip();
    line.first.forEach((step, place) => {
      if (line.evicted[place]) {
        ctx.fillStyle = colour("evicted");
        ctx.fillRect(at(step) - scale, plot.bbox.top + plot.bbox.height - 7 * scale, 2 * scale, 7 * scale);
      }
      if (line.retractions[place]) {
        ctx.fillStyle = colour("worse");
        const x = at(step);
        ctx.beginPath();
        ctx.moveTo(x - 5 * scale, plot.bbox.top - 9 * scale);
        ctx.lineTo(x + 5 * scale, plot.bbox.top - 9 * scale);
        ctx.lineTo(x, plot.bbox.top);
        ctx.fill();
      }
    });
    if (divergence !== null && divergence !== undefined) {
      ctx.strokeStyle = colour("text");
      ctx.lineWidth = 1.5 * scale;
      ctx.setLineDash([5 * scale, 4 * scale]);
      ctx.beginPath();
      ctx.moveTo(at(divergence), 0);
      ctx.lineTo(at(divergence), plot.bbox.top + plot.bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  };
  const series = names.map((name) => ({
    label: name === right ? `${name} (right)` : name, scale: name === right ? "right" : "y", stroke: colour(`s-${name}`), width: 1.6, points: { show: false },
    paths: uPlot.paths.stepped({ align: 1 }), value: (_, value) => number(value),
  }));
  const values = (_, splits) => splits.map(compact);
  const axes = [axisStyle({ label: "step", size: 32, values }), axisStyle({ label: unit, size: 52, values })];
  const scales = { x: { time: false, range: [0, Math.max(1, last)] }, y: { range: [0, top.left * 1.05 || 1] } };
  if (right) {
    axes.push(axisStyle({ label: "tokens", scale: "right", side: 1, size: 52, grid: { show: false }, values }));
    scales.right = { range: [0, top.right * 1.05 || 1] };
  }
  return chart(box, {
    height: 228, padding: [14, right ? 0 : 12, 0, 0], cursor: { sync: { key: "steps" } },
    series: [{ label: "step", value: (_, value) => number(value) }, ...series], axes, scales, hooks: { draw: [drawMarks] },
  }, [line.first, ...names.map((name) => line[name])]);
}
