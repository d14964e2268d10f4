"""What is printed of a conformance run, and the tables of docs/conformance.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from exhausters.conformance.outcome import FAILED, NOT_APPLICABLE, SKIPS_ITSELF, TestOutcome, by_file, counts
from exhausters.console import headed_table
from exhausters.errors import UsageError
from exhausters.targets import PreparedTarget

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
# What an engine says when it does not boot can be long.
_REASON_LETTERS = 160


def files_view(outcomes: Sequence[TestOutcome], *, title: str) -> Table:
    """A table with a row per file and one for all."""
    table = headed_table(title)
    table.add_column("file")
    for column in ("passed", "failed", "not applicable"):
        table.add_column(column, justify="right")
    for name, row in _rows(outcomes):
        table.add_row(name, *row)
    return table


def summary_line(outcomes: Sequence[TestOutcome]) -> str:
    """All of it in one line."""
    found = counts(outcomes)
    share = found.share_passed
    passed = "no test is applicable" if share is None else f"{_percent(share)} of the applicable ones pass"
    return (
        f"{len(outcomes)} tests in {len(by_file(outcomes))} files: "
        f"{found.passed} passed, {found.failed} failed, "
        f"{found.not_applicable} not applicable; {passed}"
    )


def failure_lines(outcomes: Iterable[TestOutcome]) -> list[str]:
    """A line for each test that failed."""
    return [f"failed: {one.file}: {one.test}: {one.reason}" for one in outcomes if one.outcome == FAILED]


def reason_lines(outcomes: Iterable[TestOutcome]) -> list[str]:
    """A line for each reason for which tests are not applicable."""
    return [
        f"not applicable: {len(found)} in {_where(found)}: {reason}" for reason, found in _reasons(outcomes)
    ]


def to_json(target: PreparedTarget, outcomes: Sequence[TestOutcome]) -> Mapping[str, Any]:
    """All outcomes as a plain object, with what they were found on."""
    found = counts(outcomes)
    return {
        "target": target.name,
        "version": target.version,
        "commit": target.commit,
        "dirty": target.dirty,
        "passed": found.passed,
        "failed": found.failed,
        "not_applicable": found.not_applicable,
        "tests": [one.to_json() for one in outcomes],
    }


def write_document(document: Path, target: PreparedTarget, outcomes: Sequence[TestOutcome]) -> None:
    """Put the tables into a document, between its two marks.

    Raises:
        UsageError: as `around_tables`.
    """
    before, after = around_tables(document)
    document.write_text(f"{before}{BEGIN}\n\n{tables(target, outcomes)}\n\n{END}{after}")


def around_tables(document: Path) -> tuple[str, str]:
    """Return what stands before and behind the tables of a document.

    Raises:
        UsageError: there is no such file, or it lacks the marks.
    """
    if not document.is_file():
        raise UsageError(f"--document {document}: expected a Markdown file; there is none")
    before, has_begin, rest = document.read_text().partition(BEGIN)
    _, has_end, after = rest.partition(END)
    if not has_begin or not has_end:
        raise UsageError(f"{document}: expected the lines {BEGIN!r} and {END!r}; restore them")
    return before, after


def tables(target: PreparedTarget, outcomes: Sequence[TestOutcome]) -> str:
    """The Markdown of the document: counts by file, failures, reasons."""
    parts = [
        f"On {_described(target)}: {summary_line(outcomes)}.",
        _markdown(
            ("file", "passed", "failed", "not applicable"),
            [(f"`{name}`" if name != _ALL else name, *row) for name, row in _rows(outcomes)],
        ),
    ]
    failed = [(f"`{one.test}`", one.reason) for one in outcomes if one.outcome == FAILED]
    if failed:
        parts.append(_markdown(("failed", "said"), failed))
    reasons = [(reason, str(len(found)), _where(found)) for reason, found in _reasons(outcomes)]
    if reasons:
        parts.append(_markdown(("not applicable because", "tests", "in"), reasons))
    return "\n\n".join(parts)


_ALL = "all"


def _rows(outcomes: Sequence[TestOutcome]) -> list[tuple[str, tuple[str, str, str]]]:
    groups = [*by_file(outcomes).items(), (_ALL, outcomes)]
    rows = []
    for name, group in groups:
        found = counts(group)
        rows.append((name, (str(found.passed), str(found.failed), str(found.not_applicable))))
    return rows


def _reasons(outcomes: Iterable[TestOutcome]) -> list[tuple[str, list[TestOutcome]]]:
    """Tests that are not applicable, by what is missing."""
    found: dict[str, list[TestOutcome]] = {}
    for one in outcomes:
        if one.outcome == NOT_APPLICABLE:
            found.setdefault(_short(one.reason), []).append(one)
    return sorted(found.items(), key=lambda item: -len(item[1]))


def _short(reason: str) -> str:
    if reason.startswith(SKIPS_ITSELF):
        return SKIPS_ITSELF
    line = reason.split("\n", 1)[0]
    return line if len(line) <= _REASON_LETTERS else f"{line[:_REASON_LETTERS].rstrip()}…"


def _where(found: Iterable[TestOutcome]) -> str:
    return ", ".join(dict.fromkeys(Path(one.file).stem.removeprefix("test_scripted_") for one in found))


def _described(target: PreparedTarget) -> str:
    """The build, without a path of the machine that it was run on."""
    if target.commit is None:
        return target.name if target.spec.kind == "release" else f"a folder of SGLang {target.version}"
    return f"commit {target.commit[:9]}{' with changes' if target.dirty else ''}"


def _percent(share: float) -> str:
    # Rounded down: 100 % means all.
    return f"{int(share * 1000) / 10:.1f} %"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(head), "|" + "---|" * len(head), *(line(row) for row in rows)])
