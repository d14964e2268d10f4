"""The report on a scan: Markdown for docs/findings.md, between two marks, and JSON."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from exhausters.errors import UsageError
from exhausters.scan.history import HistoryCommit
from exhausters.scan.scan import duration
from exhausters.scan.state import COMMITS
from reports.explain.scan_changes import ScanChange, ScanReport, commit_address, pull_request
from reports.render.escape import code, markdown_prose

BEGIN, END = "<!-- scan: begin -->", "<!-- scan: end -->"
_MAX_CELLS = 3
_MAX_FIRST = 3
_MAX_FAILURES = 20


def write_section(document: Path, report: ScanReport, *, repository: str) -> None:
    """Put the section between the marks of a document; raises UsageError without marks."""
    text = document.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"{document}: expected the lines {BEGIN!r} and {END!r}; add them")
    section = render_scan(report, repository=repository)
    document.write_text(f"{before}{BEGIN}\n\n{section}\n{END}{after}")


def render_scan(report: ScanReport, *, repository: str) -> str:
    """Return the report as Markdown.

    Args:
        report: what was found.
        repository: what commands call the clone, such as `../sglang`.
    """
    parts = [_summary(report)]
    parts += [_change(one, report, repository) for one in report.changes]
    if report.open:
        lines = [
            f"* `{one.base.id[:9]}` ({one.base.day}) to `{one.head.id[:9]}` "
            f"({one.head.day}): {'decisions differ' if one.differs else 'counted work differs'}, "
            f"{one.untried} commits between were not tried"
            for one in report.open
        ]
        parts.append("\n".join(["Not narrowed down to a commit:", "", *lines]))
    if report.failures:
        parts.append(_failures(report))
    return "\n\n".join(parts) + "\n"


def scan_document(report: ScanReport) -> str:
    """Return the report as JSON."""
    found = report.totals
    document = {
        "format": "exhausters-scan-report",
        "version": 1,
        "first": report.history.commits[0].id,
        "last": report.history.commits[-1].id,
        "commits": found.commits,
        "touching": found.touching,
        "scanned": found.scanned,
        "broken": found.broken,
        "failed": found.failed,
        "machine_seconds": round(found.seconds),
        "changes": [
            {
                "base": one.base.id,
                "head": one.head.id,
                "committed": one.head.committed,
                "subject": one.head.subject,
                "pull_request": (pull_request(one.head.subject) or (None, None))[1],
                "may_be_in": [other.id for other in one.failed],
                "verdict": one.verdict,
                "sentence": one.sentence,
                "decisions_differ": one.differs,
                "cells": list(one.cells),
                "first_divergences": list(one.first),
                "undoes": one.undoes or None,
            }
            for one in report.changes
        ],
        "open": [
            {
                "base": one.base.id,
                "head": one.head.id,
                "untried": one.untried,
                "decisions_differ": one.differs,
            }
            for one in report.open
        ],
        "failures": [{"commit": one.id, "reason": reason} for one, reason in report.failures],
    }
    return json.dumps(document, indent=1) + "\n"


def _summary(report: ScanReport) -> str:
    found, commits = report.totals, report.history.commits
    same = found.commits - found.touching
    each = f", {duration(found.seconds / found.tried)} for each" if found.tried else ""
    return (
        f"Of {found.commits:,} first parents from {commits[1].day} (`{commits[1].id[:9]}`) to "
        f"{commits[-1].day} (`{commits[-1].id[:9]}`), {same:,} change nothing that a "
        f"worker imports or requires, and share what their predecessor did. Of the other "
        f"{found.touching:,} and the commit before them {found.tried:,} were tried: {found.scanned:,} ran, "
        f"{found.broken:,} broke at once, "
        f"{found.failed:,} could not be prepared. Machine time: "
        f"{duration(found.seconds)}{each}. Below are {len(report.changes)} commits that changed decisions or "
        f"a cost materially, newest first; {len(report.open)} further intervals were not narrowed down."
    )


def _change(one: ScanChange, report: ScanReport, repository: str) -> str:
    pull = pull_request(one.head.subject)
    subject = code(one.head.subject)
    lines = [
        f"### {one.head.day}: {subject}",
        "",
        f"* commit [`{one.head.id[:9]}`]({commit_address(one.head.id)})"
        + (f", pull request [{pull[0]}]({pull[1]})" if pull else "")
        + f", against `{one.base.id[:9]}`",
    ]
    if one.failed:
        named = ", ".join(f"`{other.id[:9]}`" for other in one.failed)
        lines.append(f"* or one of those between, which cannot be prepared: {named}")
    lines.append(f"* {markdown_prose(_without_places(one.sentence))}")
    if one.undoes:
        lines.append(f"* {one.undoes}")
    if one.differs:
        ends = "in all" if one.is_everywhere else "decides or ends otherwise in"
        named = "" if _is_whole(one) else f": {', '.join(code(name) for name in one.cells)}"
        lines.append(f"* {ends} {len(one.cells)} cells{named}")
        lines += [f"* first: {markdown_prose(text)}" for text in one.first[:_MAX_FIRST]]
    lines += ["", "```console", f"$ {_command(one, report, repository)}", "```"]
    return "\n".join(lines)


def _command(one: ScanChange, report: ScanReport, repository: str) -> str:
    # Cells of no grid that others have are named by the records of them.
    grid = report.grid or str(report.folder / COMMITS / one.head.id)
    words = ["exhausters", "compare"]
    words += [f"git:{repository}@{commit.id[:10]}" for commit in (one.base, one.head)]
    words += ["--grid", grid, "--no-host-time"]
    if one.differs and not _is_whole(one):
        words += [word for name in one.cells for word in ("--cells", name)]
    return shlex.join(words)


def _is_whole(one: ScanChange) -> bool:
    """Whether the whole grid shows it as well as its cells by name."""
    return one.is_everywhere or len(one.cells) > _MAX_CELLS


def _without_places(text: str) -> str:
    """Builds by their short ids, files below their sources: where clone and cache lie is the reader's own."""
    text = re.sub(r"/[^\s(]*/commits/[0-9a-f]{40}/", "", text)
    return re.sub(r"git:\S*@([0-9a-f]{9})[0-9a-f]*", r"\1", text)


def _failures(report: ScanReport) -> str:
    reasons: dict[str, list[HistoryCommit]] = {}
    for commit, reason in report.failures:
        told = _without_places(reason).replace(f"{commit.id[:9]}: ", "")
        reasons.setdefault(told, []).append(commit)
    lines = [
        f"* {len(commits)}, the first `{commits[0].id[:9]}`: {markdown_prose(reason)}"
        for reason, commits in list(reasons.items())[:_MAX_FAILURES]
    ]
    return "\n".join(["Commits that broke at once, or could not be prepared, by reason:", "", *lines])
