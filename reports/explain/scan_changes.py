"""The commits of a scanned history that changed decisions or cost, each against its scanned predecessor."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from exhausters.scan.history import History, HistoryCommit, history_behind
from exhausters.scan.order import Interval, Plan
from exhausters.scan.scan import Totals, candidates_of, totals_of
from exhausters.scan.state import COMMITS, StoredScan, read_scan
from exhausters.scan.summary import DECISIONS, NO_RESULT, SAME, CellSummary, CommitSummary
from exhausters.sweep.grid import BUILT_IN, load_grid
from reports.detect.config import Config
from reports.explain.comparison import compare
from reports.load.builds import load_side
from reports.vocabulary import IDENTICAL, NEUTRAL

_REVERT = re.compile(r"^\[?Revert\]?:?\s+\"?(?P<subject>.+?)\"?(?:\s+\(#\d+\))?$", re.IGNORECASE)
_PULL = re.compile(r"\(#(\d+)\)")
_REPOSITORY = "https://github.com/sgl-project/sglang"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanChange:
    """One commit, or a few of which the change is one, and what changed.

    Attributes:
        base: the scanned commit before.
        head: the scanned commit that differs from it.
        failed: commits between the two that could not be prepared: the change may be theirs.
        verdict, sentence: the answer, by the roles and the materiality of `compare`.
        cells: ids of the cells that decide or end otherwise; of all compared ones if only cost changed.
        differs: whether decisions or outcomes differ.
        is_everywhere: whether these are all cells.
        first: the first divergences in words, one for each workload.
        undoes: what it takes back, in words; empty where nothing is known.
    """

    base: HistoryCommit
    head: HistoryCommit
    failed: tuple[HistoryCommit, ...]
    verdict: str
    sentence: str
    cells: tuple[str, ...]
    differs: bool
    is_everywhere: bool
    first: tuple[str, ...]
    undoes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInterval:
    """Two scanned commits that differ, and the commits between them that were not tried."""

    base: HistoryCommit
    head: HistoryCommit
    untried: int
    differs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """What a scan found.

    Attributes:
        folder: of the scan, as it was given.
        grid: name of a built-in grid whose cells these are; None where there is none.
        history: the line.
        totals: how far the scan got.
        changes: what was pinned, newest first.
        open: what was not.
        failures: commits that broke or could not be prepared, with the reason, oldest first.
    """

    folder: Path
    grid: str | None
    history: History
    totals: Totals
    changes: tuple[ScanChange, ...]
    open: tuple[OpenInterval, ...]
    failures: tuple[tuple[HistoryCommit, str], ...]


def scan_report(folder: Path, config: Config, *, until: str | None = None) -> ScanReport:
    """Return the report on a scan's folder, finished or not.

    Args:
        folder: of the scan.
        config: thresholds and waivers.
        until: the last commit that it tells of; None for the last one that was to be scanned.

    Raises:
        StoreError: the folder holds no scan.
        UsageError, TargetError: its repository cannot be read any more.
    """
    read = read_scan(folder)
    history = _history(read, until)
    candidates = candidates_of(history, read.imported)
    plan = Plan(candidates=candidates, known=read.summaries)
    differing = [one for one in plan.intervals() if one.kind != SAME]
    changes = [
        found
        for one in differing
        if not one.unknown and (found := _change(folder, one, candidates, read.summaries, config)) is not None
    ]
    return ScanReport(
        folder=folder,
        grid=_built_in(read),
        history=history,
        totals=totals_of(history, plan, read.summaries),
        changes=tuple(reversed(_matched(changes, history, read.summaries))),
        open=tuple(
            OpenInterval(
                base=candidates[one.before],
                head=candidates[one.after],
                untried=len(one.unknown),
                differs=one.kind == DECISIONS,
            )
            for one in reversed(differing)
            if one.unknown
        ),
        failures=tuple(
            (one, read.summaries[one.id].reason)
            for one in candidates
            if one.id in read.summaries and read.summaries[one.id].reason
        ),
    )


def _history(read: StoredScan, until: str | None) -> History:
    """The line that was scanned; the repository may have got further commits since."""
    named = until or read.last
    history = history_behind(read.repository, read.first, until=named or "HEAD")
    if named is None:
        # An earlier version did not keep the last commit; it is among the first that are tried.
        tried = [place for place, one in enumerate(history.commits) if one.id in read.summaries]
        if tried and tried[-1]:
            return replace(history, commits=history.commits[: tried[-1] + 1])
    return history


def _built_in(read: StoredScan) -> str | None:
    """The grid's name, if it leads others to the same cells: all of a grid that this harness has."""
    if read.grid not in BUILT_IN:
        return None
    return read.grid if read.cells in (None, load_grid(read.grid).digest) else None


def pull_request(subject: str) -> tuple[str, str] | None:
    """Return number and address of the pull request that a subject names last; None for none."""
    found = _PULL.findall(subject)
    return (found[-1], f"{_REPOSITORY}/pull/{found[-1]}") if found else None


def commit_address(commit: str) -> str:
    """Return the address of a commit of SGLang."""
    return f"{_REPOSITORY}/commit/{commit}"


def _change(
    folder: Path,
    interval: Interval,
    candidates: Sequence[HistoryCommit],
    known: Mapping[str, CommitSummary],
    config: Config,
) -> ScanChange | None:
    """Return the change of a pinned interval; None where nothing in it matters."""
    base, head = candidates[interval.before], candidates[interval.after]
    sides = (load_side(str(folder / COMMITS / one.id)) for one in (base, head))
    found = compare(*sides, config=config)
    differing = _differing_cells(known[base.id], known[head.id])
    if not differing and found.decision.verdict in (IDENTICAL, NEUTRAL):
        return None
    return ScanChange(
        base=base,
        head=head,
        failed=tuple(candidates[place] for place in interval.failed),
        verdict=found.decision.verdict,
        sentence=found.decision.sentence,
        cells=differing or tuple(known[head.id].cells),
        differs=bool(differing),
        is_everywhere=len(differing) in (0, len(known[head.id].cells)),
        first=tuple(one.sentence for one in found.divergences if one.sentence),
    )


def _differing_cells(base: CommitSummary, head: CommitSummary) -> tuple[str, ...]:
    return tuple(
        name
        for name, ours in base.cells.items()
        if (theirs := head.cells.get(name)) is not None and _end(ours) != _end(theirs)
    )


def _end(cell: CellSummary) -> tuple[str, str]:
    return cell.outcome, cell.decisions


def _matched(
    changes: Sequence[ScanChange], history: History, known: Mapping[str, CommitSummary]
) -> list[ScanChange]:
    """Return the changes, oldest first, each with what it takes back."""
    by_subject = {_plain(one.subject): one for one in history.commits}
    matched: list[ScanChange] = []
    for change in changes:
        undone = _named_revert(change.head, by_subject) or _same_as_before(change, matched, known)
        matched.append(replace(change, undoes=undone))
    return matched


def _named_revert(head: HistoryCommit, by_subject: Mapping[str, HistoryCommit]) -> str:
    """What a subject says that it reverts."""
    found = _REVERT.match(head.subject)
    if found is None:
        return ""
    named = found["subject"]
    commit = by_subject.get(_plain(named))
    return f"reverts `{commit.id[:9]}` ({commit.subject})" if commit else f"reverts {named}"


def _same_as_before(
    change: ScanChange, earlier: Sequence[ScanChange], known: Mapping[str, CommitSummary]
) -> str:
    """Whether all that it changes is as it was before an earlier change of the same cells.

    Cells that crash have nothing that could be as before.
    """
    now = known[change.head.id].cells
    if not change.differs or any(now[name].outcome in NO_RESULT for name in change.cells):
        return ""
    for one in reversed(earlier):
        before = known[one.base.id].cells
        if set(change.cells) <= set(one.cells) and all(
            name in before and _end(before[name]) == _end(now[name]) for name in change.cells
        ):
            return f"decides again as before `{one.head.id[:9]}` ({one.head.subject})"
    return ""


def _plain(subject: str) -> str:
    """A subject without its pull request and quotes, to be found by."""
    return _PULL.sub("", subject).strip().strip('"').strip().lower()
