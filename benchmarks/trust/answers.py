"""From the records of two builds to what was answered, in either direction, and whether that is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.trust.plants import Plant
from exhausters.compare.folder import BASE, HEAD, PAIRS
from exhausters.observe.phases import PHASES
from exhausters.observe.smallest_effects import COST, COUNTS, CPU_TIME
from reports.detect.answer import ReachOfChange
from reports.detect.effect_words import Movement
from reports.explain.comparison import Comparison, compare
from reports.load.builds import Side
from reports.load.load_results import load_results
from reports.vocabulary import BETTER, TRADE_OFF, WORSE

_MIRROR = {WORSE: BETTER, BETTER: WORSE}


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownReach:
    """Reach, as a comparison left it."""

    text: str
    is_nothing_reached: bool

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What was answered in one direction.

    Attributes:
        verdict: the answer's word.
        sentence: the whole answer.
        roles: of what mattered.
        phase: where the cost sits that mattered most; empty where no cost mattered.
        pressures: under which what mattered moved; empty where that is not told.
    """

    verdict: str
    sentence: str
    roles: frozenset[str] = frozenset()
    phase: str = ""
    pressures: frozenset[str] = frozenset()


def compare_folder(folder: Path, *, swapped: bool, reach: ReachOfChange | None) -> Comparison:
    """Judge the records of a comparison, or the same records in the other order."""
    names = (HEAD, BASE) if swapped else (BASE, HEAD)
    sides = []
    for name in names:
        results = load_results([folder / name])
        sides.append(Side(label=str(results.frame["target"].iloc[0]), results=results))
    pairs = load_results([folder / PAIRS]) if (folder / PAIRS).exists() else None
    return compare(*sides, pairs=pairs, reach=reach)


def answered(comparison: Comparison) -> Answered:
    """Return what a comparison answered."""
    answer = comparison.decision
    moved = [*answer.lost, *answer.won]
    costs = [one for one in moved if one.role == COST]
    return Answered(
        verdict=answer.verdict,
        sentence=answer.sentence,
        roles=frozenset(one.role for one in moved),
        phase=phase_of(costs, comparison.verdicts) if costs else "",
        pressures=frozenset(
            pressure for one in moved for effect in one.effects for pressure in effect.pressures
        ),
    )


def phase_of(costs: Sequence[Movement], verdicts: pd.DataFrame) -> str:
    """Return the phase in which the cost that moved most differs most, per step over all cells."""
    metric = costs[0].metric
    prefix = f"{metric}_per_step_" if metric in COUNTS else f"{CPU_TIME}_"
    rows = verdicts[verdicts["metric"].isin([f"{prefix}{phase}" for phase in PHASES])]
    rows = rows[rows["base"].notna() & rows["head"].notna()]
    if rows.empty:
        return ""
    differences = (rows["head"] - rows["base"]).groupby(rows["metric"]).sum()
    return str(differences.abs().idxmax()).removeprefix(prefix)


def faults(plant: Plant, forward: Answered, backward: Answered) -> tuple[str, ...]:
    """Return what of the two answers is not right, a clause each; empty when all is."""
    found = []
    for words, right, seen in (("", plant.expect, forward), ("swapped: ", plant.reverse, backward)):
        if seen.verdict not in right:
            found.append(f"{words}{seen.verdict}, not {' or '.join(right)}")
    if backward.verdict != _MIRROR.get(forward.verdict, forward.verdict):
        found.append(f"{forward.verdict}, and swapped {backward.verdict}")
    if found:
        return tuple(found)
    if forward.verdict not in (WORSE, BETTER, TRADE_OFF):
        return ()
    for words, seen in (("", forward), ("swapped: ", backward)):
        if plant.role and plant.role not in seen.roles:
            found.append(f"{words}no {plant.role} was named")
        if plant.phase and seen.phase != plant.phase:
            found.append(f"{words}phase {seen.phase or 'not told'}, not {plant.phase}")
        # A paired test of CPU time is over all cells of a workload, and tells no pressure.
        if seen.pressures:
            missing, wrong = set(plant.under) - seen.pressures, set(plant.not_under) & seen.pressures
            found += [f"{words}not seen under {one} pressure" for one in sorted(missing)]
            found += [f"{words}seen under {one} pressure" for one in sorted(wrong)]
    return tuple(found)
