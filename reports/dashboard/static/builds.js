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

function buildTable() {
  return table({
    caption: `${areReleases() ? "Releases" : "Builds"}, oldest first`, className: "builds", rows: DATA.builds.map((build, place) => ({ build, place })),
    columns: [
      { head: buildWord(), rowHeader: true, cell: ({ place }) => [buildLink(place), place === DATA.head ? " (head)" : place === DATA.base ? " (base)" : ""] },
      { head: "date", cell: ({ build }) => day(build) },
      { head: "what", cell: ({ build }) => { const about = aboutBuild(build); return about.length ? about : build.name === build.label ? "–" : build.name; } },
    ].filter((column) => column.head !== "what" || DATA.builds.some((build) => aboutBuild(build).length || build.name !== build.label)),
  });
}
