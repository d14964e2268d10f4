"""What a reader is shown below the answer: the outcomes that moved most, the cost per step, and why."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from exhausters.observe.smallest_effects import COST, COUNTS, CPU_TIME, OUTCOME_ROLE
from exhausters.sweep.grid import BUILT_IN, CHOSEN_GRID
from reports.detect.cell_groups import PRESSURES
from reports.detect.effect import Effect
from reports.detect.effect_words import metric_words
from reports.detect.materiality import Change, percent
from reports.detect.paired_tests import NOISE, NOT_KNOWN_TO_MATTER
from reports.explain.comparison import Comparison
from reports.explain.divergence import LogDivergence
from reports.vocabulary import BETTER, CHANGED, DECISION_LOG, OUTCOME, SAME, WORSE

# Where `compare` writes unless it is told otherwise.
COMPARE_FOLDER = "results/compare"
_MAX_OUTCOMES = 4
_COMMIT_DIGITS = 9
# Behind the folder of a checkout: a digest of what no commit describes.
_CHANGES = re.compile(r"\+[0-9a-f]{9}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """A first divergence, and the other cells in which it is the same."""

    sentence: str
    cells: tuple[str, ...]


def outcomes_that_moved(effects: Sequence[Effect]) -> list[str]:
    """Return the metrics of the outcomes that moved most, measured in smallest effects; at most four."""
    sizes: dict[str, float] = {}
    for effect in effects:
        if effect.role == OUTCOME_ROLE and effect.metric != OUTCOME and effect.verdict != SAME:
            sizes[effect.metric] = max(sizes.get(effect.metric, 0.0), effect.closeness)
    return sorted(sizes, key=lambda metric: -sizes[metric])[:_MAX_OUTCOMES]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRow:
    """What became of the outcomes of one workload, or of one under some engine settings.

    Attributes:
        workload: its text.
        settings: in words; empty for all of them.
        by_metric: the effects.
    """

    workload: str
    settings: str
    by_metric: Mapping[str, Effect]


def outcome_rows(effects: Sequence[Effect], metrics: Sequence[str]) -> list[OutcomeRow]:
    """Return a row for each workload, followed by those of the engine settings that say something else."""
    found: dict[tuple[str, str], dict[str, Effect]] = {}
    workloads = dict.fromkeys(one.workload for one in effects)
    for workload in workloads:
        found[workload, ""] = {}
        for one in effects:
            if one.workload == workload and one.metric in metrics and one.change is not None:
                found.setdefault((workload, one.settings), {})[one.metric] = one
    return [
        OutcomeRow(workload=workload, settings=settings, by_metric=by_metric)
        for (workload, settings), by_metric in found.items()
    ]


def pressure_values(effect: Effect) -> dict[str, str]:
    """Return `base → head` of one effect by pressure; only those that the workload has."""
    return {
        pressure: base_to_head(effect.by_pressure[pressure])
        for pressure in PRESSURES
        if pressure in effect.by_pressure
    }


def base_to_head(change: Change) -> str:
    """Return both values with as many digits as it takes to see that they differ, three at least."""
    if change.base == change.head:
        return _number(change.base, 3)
    digits = next(
        (n for n in range(3, 7) if _number(change.base, n) != _number(change.head, n)),
        7,
    )
    return f"{_number(change.base, digits)} → {_number(change.head, digits)}"


def _number(value: float, digits: int) -> str:
    if value == 0 or abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


def outcome_words(metric: str, unit: str) -> str:
    """Return the name of an outcome with its unit, where the name does not say it."""
    says_unit = unit in ("", "ratio") or unit.endswith("/s")
    return metric_words(metric) + ("" if says_unit else f", {unit}")


def decisions(comparison: Comparison) -> str:
    """Return in how many cells the decisions differ."""
    logs = comparison.verdicts.loc[comparison.verdicts["metric"] == DECISION_LOG, "verdict"]
    changed = int((logs == CHANGED).sum())
    if logs.empty:
        return "no decisions were compared"
    return f"decisions differ in {changed}" if changed else "the same decisions"


def cost_per_step(comparison: Comparison) -> list[str]:
    """Return what each cost was per step, over all cells; paired CPU time first."""
    timed = [one for one in comparison.effects if one.metric == CPU_TIME and one.change is not None]
    found = [f"CPU time in pairs {', '.join(map(_paired_words, timed))}"] if timed else []
    for name in COUNTS:
        rows = comparison.verdicts[comparison.verdicts["metric"] == f"{name}_per_step"]
        base, head = (rows[side].to_numpy(dtype=np.float64) for side in ("base", "head"))
        known = (base > 0) & (head > 0)
        if known.any():
            ours, theirs = (float(np.exp(np.log(side[known]).mean())) for side in (base, head))
            change = Change(base=ours, head=theirs, size=theirs - ours, text="")
            text = f" ({percent(theirs / ours - 1)})" if ours != theirs else ""
            found.append(f"{metric_words(name)} {base_to_head(change)}{text}")
    return found


def _paired_words(effect: Effect) -> str:
    """The change of CPU time, with its workload, settings and interval: "+4.4 % (agents, +2.5 to +5.8 %)"."""
    assert effect.change is not None
    limit = f"{100 * effect.threshold:g} %"
    doubt = {
        NOT_KNOWN_TO_MATTER: f"not known to reach {limit}",
        NOISE: "not told from noise",
    }
    place = f"{effect.workload} {effect.settings}".strip()
    told = filter(None, (place, effect.interval, doubt.get(effect.doubt, effect.doubt)))
    return f"{effect.change.text} ({', '.join(told)})"


def reasons_why(divergences: Sequence[LogDivergence]) -> list[Why]:
    """Return the first divergences in words, the same sentence once."""
    cells: dict[str, list[str]] = {}
    for one in divergences:
        if one.sentence:
            cells.setdefault(one.sentence, []).append(one.cell)
    return [Why(sentence=sentence, cells=tuple(named)) for sentence, named in cells.items()]


def immaterial_cells(comparison: Comparison) -> str:
    """Return how many single cells moved enough where no workload did, and the largest of them."""
    outcomes = [one for one in comparison.effects if one.role == OUTCOME_ROLE]
    loud = [one for one in outcomes if one.verdict in (WORSE, BETTER)]
    told = {(one.metric, cell) for one in loud for cell in (*one.worse_cells, *one.better_cells)}
    quiet = {WORSE: set[tuple[str, str]](), BETTER: set[tuple[str, str]]()}
    for one in outcomes:
        if one.verdict not in (WORSE, BETTER):
            for verdict, cells in ((WORSE, one.worse_cells), (BETTER, one.better_cells)):
                quiet[verdict] |= {(one.metric, cell) for cell in cells} - told
    if not any(quiet.values()):
        return ""
    counts = [f"{len({cell for _, cell in found})} {verdict}" for verdict, found in quiet.items()]
    largest = [
        f"{word}: {_largest(comparison.verdicts, quiet[verdict])}"
        for verdict, word in ((WORSE, "largest loss"), (BETTER, "largest win"))
        if quiet[verdict]
    ]
    single = f"single cells that moved by more than a cell's smallest effect: {', '.join(counts)}"
    return "; ".join((single, *largest))


def _largest(verdicts: pd.DataFrame, found: Collection[tuple[str, str]]) -> str:
    """The metric and cell among these that moved most, with both values."""
    is_in = [pair in found for pair in zip(verdicts["metric"], verdicts["cell"], strict=True)]
    rows = verdicts[is_in]
    # From nothing to something is the largest of all.
    sizes = (rows["head"] / rows["base"] - 1).abs().fillna(0.0)
    row = rows.iloc[int(np.argmax(sizes.to_numpy(dtype=np.float64)))]
    base, head = float(row["base"]), float(row["head"])
    values = base_to_head(Change(base=base, head=head, size=head - base, text=""))
    by = f" ({percent(head / base - 1)})" if base else ""
    return f"{outcome_words(row['metric'], row['unit'])} {values}{by} in `{row['cell']}`"


def short_name(target: str, commit: object = None) -> str:
    """Return a target as a reader says it: the release, or nine digits of the commit."""
    if target.startswith("release:"):
        return target.removeprefix("release:")
    if isinstance(commit, str) and commit:
        return commit[:_COMMIT_DIGITS]
    if target.startswith("git:") and "@" in target:
        return target.rpartition("@")[2][: 4 * _COMMIT_DIGITS]
    return target.rstrip("/").rpartition("/")[2] if target.startswith("path:") else target


def with_short_names(comparison: Comparison, text: str, *, mark: str = "") -> str:
    """Return a text in which both builds have their short names: where a clone lies is the reader's own.

    Args:
        comparison: of the builds.
        text: a sentence that may name them.
        mark: what stands around a short name, a backtick in Markdown.
    """
    builds = (
        (comparison.base, comparison.base_commit),
        (comparison.head, comparison.head_commit),
    )
    # The longer name first: `git:DIR@REV~1` begins with `git:DIR@REV`.
    for target, commit in sorted(builds, key=lambda one: -len(one[0])):
        text = text.replace(target, f"{mark}{short_name(target, commit)}{mark}") if target else text
    return text


def reproduce_command(comparison: Comparison, options: Sequence[str] | None = None) -> str:
    """Return the command that compares the two builds again; empty where they are not targets.

    Args:
        comparison: of the builds.
        options: as they were given to `compare`; None where it is not known how the cells were run. Then the
            grid is named, or left out if `compare` has chosen the cells itself and will choose them again.
    """
    builds = (
        (comparison.base, comparison.base_commit),
        (comparison.head, comparison.head_commit),
    )
    if not all(target.startswith(("release:", "git:", "path:")) for target, _ in builds):
        return ""
    if options is None:
        options = _grid_option(comparison.grid)
    return shlex.join(["exhausters", "compare", *(_anywhere(*build) for build in builds), *options])


def why_command(comparison: Comparison, folder: str = COMPARE_FOLDER) -> str:
    """Return the command that explains a cell function by function; empty where nothing differs."""
    cell = next((one.cell for one in comparison.divergences if one.sentence), "") or _costly_cell(comparison)
    builds = ((comparison.base, comparison.base_commit), (comparison.head, comparison.head_commit))
    if not cell or not all(target.startswith(("release:", "git:", "path:")) for target, _ in builds):
        return ""
    # Cells that `compare` has chosen or made are in its folder, and in no grid.
    grid = comparison.grid if comparison.grid in BUILT_IN else folder
    words = [*(_anywhere(*build) for build in builds), "--grid", grid, "--cell", cell]
    return shlex.join(["exhausters", "why", *words])


def _costly_cell(comparison: Comparison) -> str:
    """A cell in which a cost that mattered moved by enough for a cell."""
    effects = [
        effect
        for one in (*comparison.decision.lost, *comparison.decision.won)
        for effect in one.effects
        if one.role == COST
    ]
    return next((cell for one in effects for cell in (*one.worse_cells, *one.better_cells)), "")


def _grid_option(grid: str | None) -> list[str]:
    if not grid or grid == CHOSEN_GRID:
        return []
    return ["--grid", grid if grid in BUILT_IN else f"YOUR_FILE_OF_{grid}"]


def _anywhere(target: str, commit: str | None) -> str:
    """A target as another machine can have it: where a clone lies is the reader's own."""
    kind, _, place = target.partition(":")
    if kind == "release":
        return target
    if kind == "path" and (commit is None or _CHANGES.search(place)):
        return "path:YOUR_CHECKOUT"
    return f"git:YOUR_CLONE@{commit or place.rpartition('@')[2]}"
