"""The table of commits in a document, between two marks that stay where they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.real_commits.commits import Commit, Compared
from benchmarks.trust.marked_text import write_between

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def write_table(document: Path, commits: Sequence[Commit], compared: Mapping[str, Compared]) -> None:
    """Put the table of what was compared into the document.

    Raises:
        UsageError: the document has no marks.
    """
    write_between(document, BEGIN, END, table(commits, compared))


def table(commits: Sequence[Commit], compared: Mapping[str, Compared]) -> str:
    """Return the table and what follows from it, as Markdown."""
    lines = [
        "| commit | title | kind | expected | answer | decisions differ | reach | seconds | agrees |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    known = [one for one in commits if one.id in compared]
    for one in known:
        found = compared[one.id]
        cells = (
            f"`{one.id}`",
            one.title.replace("|", "\\|"),
            one.kind,
            f"{', '.join(one.expected)}: {one.because}",
            f"**{found.answer}**",
            f"{found.differing_cells} of {found.cells}",
            found.reach or "–",
            f"{found.seconds:.0f}",
            "yes" if agrees(one, found) else "**no**",
        )
        lines.append(f"| {' | '.join(cells)} |")
    right = sum(agrees(one, compared[one.id]) for one in known)
    lines += ["", f"{right} of {len(known)} answers agree with the title.", ""]
    lines += [f"* `{one.id}`: {_told(one, compared[one.id])}" for one in known]
    return "\n".join(lines)


def agrees(commit: Commit, found: Compared) -> bool:
    """Tell whether the answer is one of those that the title promised."""
    return found.answer in commit.expected


def _told(commit: Commit, found: Compared) -> str:
    # Where the clone was is nobody's business but the reader's own.
    sentence = re.sub(r"git:[^\s@]*@", "", found.sentence).rstrip(".") + "."
    return f"{sentence} {commit.note}".strip()
