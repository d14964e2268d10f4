// What builds are called, and where on the web they are.

const areReleases = () => DATA.builds.every((build) => build.is_release);
const buildWord = (isPlural) => (areReleases() ? "release" : "build") + (isPlural ? "s" : "");

const buildLink = (place) => outside(DATA.builds[place].url, buildName(place));
const day = (build) => h("span", { class: "day" }, build.date ? build.date.slice(0, 10) : "–");

// The subject of a build's commit, its pull request and the commit itself; nothing for a release without any.
function aboutBuild(build) {
  const subject = build.pull_request ? build.subject.replace(/\s*\(#\d+\)\s*$/, "") : build.subject;
  const commit = build.commit && h("code", null, build.commit.slice(0, 9));
  return [
    subject || null,
    build.pull_request ? [subject ? " " : "", outside(build.pull_request_url, `#${build.pull_request}`)] : null,
    commit && !build.is_release ? [subject || build.pull_request ? " · " : "", outside(build.url, commit)] : null,
    commit && build.is_release && build.commit !== build.name ? [subject ? " · " : "", commit] : null,
  ].filter(Boolean);
}

// From so many builds on, the page shows those that changed something first, and long lists folded.
const MANY = 20;
const areMany = () => DATA.builds.length > MANY;
const folded = (title, content) => (areMany() ? h("details", null, h("summary", null, title), content) : content);

// What changed at a build, as badges: how runs end, what is decided, and what moved by as much as matters. Empty for nothing.
const MOST_MOVES = 3;
function movesOf(place) {
  const { name, moved } = DATA.builds[place];
  const badges = moved.ends.map(({ verdict, outcome, cells }) => badge(verdict, `${readable(outcome)} in ${plural(cells, "cell")}`));
  if (moved.decides) badges.push(badge("changed", `decides otherwise in ${plural(moved.decides, "cell")}`));
  const effects = moved.effects.slice(0, MOST_MOVES).map((effect) => h("a", { href: link("metric", effect.metric, { build: name }) }, badge(effect.verdict, `${readable(effect.metric)} ${effect.text}`)));
  const rest = moved.effects.length - effects.length;
  return [...badges, ...effects, rest > 0 && h("span", { class: "quiet-text" }, `and ${plural(rest, "metric")} more`)].filter(Boolean).flatMap((one) => [one, " "]);
}

// The builds, of many only those at which something changed, unless all are asked for.
function buildSection(state) {
  const places = DATA.builds.map((_, place) => place);
  const moved = places.filter((place) => movesOf(place).length);
  const wanted = state.params.get("builds") || (areMany() ? "moved" : "all");
  const change = (value) => setState({ builds: value === "1" ? "moved" : "all" });
  return h("section", { "aria-labelledby": "builds-title" },
    h("h2", { id: "builds-title" }, wanted === "moved" ? `What changed at which ${buildWord()}` : `All ${buildWord(true)}`),
    places.length > 1 && h("p", { class: "note" }, `At ${moved.length} of ${plural(places.length, buildWord())} cells decide or end otherwise than in the last one before that shows it, or an outcome or a cost of a workload moved by as much as matters; the largest change over a workload is told.`),
    places.length > 1 && h("div", { class: "controls" }, tick("only those that changed something", wanted === "moved", change)),
    buildTable(wanted === "moved" ? moved : places, true));
}

function buildTable(places, withMoves) {
  return table({
    caption: `${areReleases() ? "Releases" : "Builds"}, oldest first`, className: "builds", rows: places.map((place) => ({ build: DATA.builds[place], place })), empty: "None.",
    columns: [
      { head: buildWord(), rowHeader: true, cell: ({ place }) => [buildLink(place), place === DATA.head ? " (head)" : place === DATA.base ? " (base)" : ""] },
      { head: "date", cell: ({ build }) => day(build) },
      withMoves && { head: "changed", cell: ({ place }) => { const moves = movesOf(place); return moves.length ? moves : "–"; } },
      { head: "what", cell: ({ build }) => { const about = aboutBuild(build); return about.length ? about : build.name === build.label ? "–" : build.name; } },
    ].filter((column) => column && (column.head !== "what" || DATA.builds.some((build) => aboutBuild(build).length || build.name !== build.label))),
  });
}
