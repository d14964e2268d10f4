"""The scan: choose a commit, run it, note what it did, until nothing is left or time is up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exhausters.scan.history import History, HistoryCommit
from exhausters.scan.imports import ImportedSet
from exhausters.scan.order import COARSE, FIRST_PASS, REST, REST_CORE, Distance, Plan, remembered
from exhausters.scan.runs import Runs
from exhausters.scan.state import ScanFolder
from exhausters.scan.summary import BROKEN, DECISIONS, FAILED, SCANNED, WORK, CommitSummary

Say = Callable[[str], None]
# The time left is told from so many of the last commits: a machine that others use is not as fast all night.
_RECENT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """How far a scan got.

    Attributes:
        commits: first parents in the range, the base not counted.
        touching: those that change a file which workers import.
        scanned, broken, failed: those of them, and the base, that ran, that broke at once, and that could not
            be prepared.
        decisions, work: neighbouring pairs of scanned commits, with nothing untried between them, that decide
            otherwise, or whose counts differ materially.
        open: pairs that differ, with untried commits between them.
        seconds: machine time until now, in all calls.
    """

    commits: int
    touching: int
    scanned: int
    broken: int
    failed: int
    decisions: int
    work: int
    open: int
    seconds: float

    @property
    def tried(self) -> int:
        """All that were tried."""
        return self.scanned + self.broken + self.failed


def candidates_of(history: History, imported: ImportedSet) -> list[HistoryCommit]:
    """Return the commits that can change what a worker does, the base first."""
    base, *others = history.commits
    return [base, *(one for one in others if imported.sees(one.changes))]


def plan_of(history: History, state: ScanFolder, distance: Distance, coarse: int = COARSE) -> Plan:
    """Return the plan by what is known now."""
    candidates = candidates_of(history, state.imported)
    return Plan(candidates=candidates, known=state.summaries, distance=distance, coarse=coarse)


def scan(
    history: History,
    state: ScanFolder,
    runs: Runs,
    *,
    say: Say = lambda text: None,
    stop_after_seconds: float | None = None,
    coarse: int = COARSE,
) -> Totals:
    """Scan until nothing is left, or until a commit ends after `stop_after_seconds`.

    Args:
        history: the line.
        state: the folder.
        runs: what tries commits.
        say: told of each commit, and of how far the scan is.
        stop_after_seconds: real time; None to go on to the end.
        coarse: see `Plan`.
    """
    began, distance = time.monotonic(), remembered()
    took: list[float] = []
    plan, known_imports = plan_of(history, state, distance, coarse), len(state.imported)
    while stop_after_seconds is None or time.monotonic() - began < stop_after_seconds:
        if len(state.imported) != known_imports:
            plan, known_imports = plan_of(history, state, distance, coarse), len(state.imported)
        chosen = plan.next()
        if chosen is None:
            break
        summary, imported = runs.run(chosen.commit.id)
        state.note_imports(imported)
        state.note(summary)
        took = [*took, summary.seconds][-_RECENT:]
        outcome = f"{summary.status}: {summary.reason}" if summary.reason else f"{summary.seconds:.0f} s"
        say(f"{chosen.phase}: {chosen.commit.title}: {outcome}")
        say(f"  {progress(history, state, plan, sum(took) / len(took))}")
    return totals_of(history, plan_of(history, state, distance, coarse), state.summaries)


def progress(history: History, state: ScanFolder, plan: Plan, seconds_each: float) -> str:
    """Return how far the scan is and how long the rest takes, in one line."""
    found, left = totals_of(history, plan, state.summaries), plan.left()
    times, commits = [], 0
    for phase in (FIRST_PASS, REST_CORE, REST):
        commits += left[phase]
        times.append(f"{phase} {commits} in {duration(commits * seconds_each)}")
    return (
        f"{found.scanned} scanned, {found.broken} broken, {found.failed} failed; changes of decisions "
        f"{found.decisions}, of counted work {found.work}, {found.open} intervals open; "
        f"left: {', '.join(times)}"
    )


def totals_of(history: History, plan: Plan, summaries: Mapping[str, CommitSummary]) -> Totals:
    """Return how far a scan got."""
    known = [summaries[one.id] for one in plan.candidates if one.id in summaries]
    intervals = plan.intervals()
    closed = [one for one in intervals if not one.unknown]
    return Totals(
        commits=len(history.commits) - 1,
        touching=len(plan.candidates) - 1,
        scanned=sum(one.status == SCANNED for one in known),
        broken=sum(one.status == BROKEN for one in known),
        failed=sum(one.status == FAILED for one in known),
        decisions=sum(one.kind == DECISIONS for one in closed),
        work=sum(one.kind == WORK for one in closed),
        open=sum(bool(one.kind and one.unknown) for one in intervals),
        seconds=sum(one.seconds for one in summaries.values()),
    )


def duration(seconds: float) -> str:
    """Return a time in words: 40 s, 12 min, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
