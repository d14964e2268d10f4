"""The table of docs/museum.md, between two marks that stay where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.museum.exhibit import COMMITS, PUT_BACK, Exhibit
from benchmarks.museum.run import Shown
from exhausters.errors import UsageError

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
_NONE = "–"


def write_table(document: Path, exhibits: Sequence[Exhibit], shown: Mapping[int, Shown]) -> None:
    """Put the table of what was run into the document; raises UsageError without marks."""
    text = document.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"{document}: expected the lines {BEGIN!r} and {END!r}; restore them")
    document.write_text(f"{before}{BEGIN}\n\n{table(exhibits, shown)}\n\n{END}{after}")


def table(exhibits: Sequence[Exhibit], shown: Mapping[int, Shown]) -> str:
    """Return the score, the table, and what was said of each exhibit, as Markdown."""
    known = [one for one in exhibits if one.pr in shown]
    found = [one for one in known if shown[one.pr].sighting.is_found]
    alone = sum(one.accuses_alone for one in found)
    lines = [
        f"{len(known)} bugs, {len(found)} found ({len(found) / len(known):.0%}), "
        f"{len(known) - len(found)} missed. {alone} of those found accuse the broken build alone; "
        f"{len(found) - alone} show only beside the mended one.",
        "",
        "| pull request | what was mended | mended | lived | promise | form | found by | steps | seconds |",
        "|---|---|---|---:|---|---|---|---:|---:|",
        *(_row(one, shown[one.pr]) for one in known),
        "",
        "What was seen of each:",
        "",
        *(f"* {one.pr}: {_told(one, shown[one.pr])}" for one in known),
    ]
    return "\n".join(lines)


def _row(one: Exhibit, shown: Shown) -> str:
    days = one.days_lived
    link = f"[{one.pr}](https://github.com/sgl-project/sglang/pull/{one.pr})"
    mended = " ".join(filter(None, (str(one.fixed_on or ""), f"`{one.fixed}`" if one.fixed else "")))
    sighting = shown.sighting
    cells = (
        link,
        # `[a][b]` would be a link.
        one.title.replace("|", "\\|").replace("][", "]\\["),
        mended or _NONE,
        _NONE if days is None else f"{days} d",
        one.promise,
        _form(one),
        sighting_words(one, shown),
        # A scheduler that raises may take its log with it.
        str(sighting.steps) if sighting.is_found and sighting.steps else _NONE,
        f"{shown.seconds:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def _form(one: Exhibit) -> str:
    if one.form == COMMITS:
        return "its commit and the one before"
    if one.form == PUT_BACK:
        return f"put back into {one.builds[0]}"
    return f"{one.builds[0]} and {one.builds[1]}"


def sighting_words(one: Exhibit, shown: Shown) -> str:
    """Say by what it was found, or that it was missed."""
    return one.detector if shown.sighting.is_found else "**missed**"


def _told(one: Exhibit, shown: Shown) -> str:
    sighting = shown.sighting
    parts = [f"{one.shown}.", f"{sighting.says.replace('|', '/').rstrip('.')}."]
    if sighting.also:
        parts.append(f"Also: {', '.join(sighting.also)}.")
    if one.note:
        parts.append(one.note)
    return " ".join(parts)
