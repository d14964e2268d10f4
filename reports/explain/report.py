"""The report on some results: two builds compared, and the history of all of them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from exhausters.errors import ExhaustersError
from reports.detect.config import Config
from reports.detect.history import History, detect_history
from reports.errors import NotComparableError
from reports.explain.comparison import Comparison, compare
from reports.load.builds import Side, list_targets, pick
from reports.load.frame import Results
from reports.vocabulary import OUTCOME, SWEEP

# Two builds are a comparison; a history begins with three.
_MIN_HISTORY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a report shows.

    Attributes:
        results: what was measured, without sweeps that a later one replaces.
        targets: the builds that a history follows, oldest first: those of sweeps, where there are any.
        comparison: `head` against `base`; None where there is nothing to compare, or it was refused.
        history: changes over `targets`; None for fewer than three, or where it was refused.
        notes: what was left out or refused, and why.
        config: thresholds and waivers.
    """

    results: Results
    targets: tuple[str, ...]
    comparison: Comparison | None
    history: History | None
    notes: tuple[str, ...]
    config: Config


def make_report(
    results: Results, config: Config, *, base: str | None = None, head: str | None = None
) -> Report:
    """Return the report on everything there is. What cannot be compared is a note in it, not an error.

    Args:
        results: what was loaded.
        config: thresholds and waivers.
        base: the build to compare with, as in `PATH@BUILD`; by default the one before `head`.
        head: the build to judge; by default the newest.

    Raises:
        SelectionError: no build has that name, or several have.
    """
    notes: list[str] = []
    results = without_replaced(results, notes)
    sweeps = results.select(results.frame["suite"] == SWEEP)
    # Other suites may have run another grid.
    followed = results if sweeps.frame.empty else sweeps
    targets = list_targets(followed.frame)
    return Report(
        results=results,
        targets=tuple(targets),
        comparison=_comparison(followed, targets, config, notes, base=base, head=head),
        history=_history(followed, targets, config, notes),
        notes=tuple(notes),
        config=config,
    )


def without_replaced(results: Results, notes: list[str]) -> Results:
    """Return results without sweeps that a later one replaces: another grid, or the same build again.

    The grid is that of the latest sweep. What is left out is added to `notes`.
    """
    frame = results.frame
    runs = frame[(frame["metric"] == OUTCOME) & (frame["suite"] == SWEEP)]
    if runs.empty:
        return results
    replaced = sorted(set(runs["session"].astype(object)) - _current_sessions(runs))
    notes += [f"left out, a later sweep replaces it or has another grid: {session}" for session in replaced]
    return results.select(~frame["session"].isin(replaced))


def _current_sessions(runs: pd.DataFrame) -> set[str]:
    started = runs["provenance"].map(lambda facts: str(facts.get("started") or ""))
    runs = runs.astype({"grid_digest": object, "session": object, "target": object}).assign(started=started)
    runs = runs.sort_values("started", kind="stable")
    grid = runs["grid_digest"].iloc[-1]
    runs = runs[runs["grid_digest"].isna() if grid is None else runs["grid_digest"] == grid]
    is_single = runs["round"].isna()
    return {*runs[is_single].groupby("target")["session"].last(), *runs.loc[~is_single, "session"]}


def _comparison(
    results: Results,
    targets: list[str],
    config: Config,
    notes: list[str],
    *,
    base: str | None,
    head: str | None,
) -> Comparison | None:
    head = pick(results, head).label if head else targets[-1]
    if base is not None:
        base = pick(results, base).label
    elif head == targets[0]:
        notes.append(f"nothing was measured before {head}: there is nothing to compare it with")
        return None
    else:
        base = targets[targets.index(head) - 1]
    try:
        return compare(_side(results, base), _side(results, head), config=config)
    except ExhaustersError as error:
        notes.append(f"{base} and {head} were not compared: {error}")
        return None


def _side(results: Results, target: str) -> Side:
    return Side(label=target, results=results.select(results.frame["target"] == target))


def _history(results: Results, targets: list[str], config: Config, notes: list[str]) -> History | None:
    if len(targets) < _MIN_HISTORY:
        return None
    try:
        return detect_history(
            results.frame, targets, tolerance=config.tolerance, smallest_effect=config.smallest_effect
        )
    except NotComparableError as error:
        notes.append(f"no history: {error}")
        return None
