"""Compare two builds: refuse, detect, explain, decide, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Protocol

import pandas as pd

from exhausters.observe.metrics import HOST
from exhausters.sweep.record import DRAINED
from reports.detect.comparable import Refusal, comparison_notes, refusals
from reports.detect.config import Config
from reports.detect.coverage import KindCoverage, kind_coverage
from reports.detect.exact import detect_exact
from reports.detect.grid_tests import detect_grid
from reports.detect.measured import EXACT_KINDS
from reports.detect.outcomes import detect_outcomes, outcome_verdicts
from reports.detect.pairs import detect_paired, pair_up, unpaired
from reports.detect.verdict import Decision, apply_waivers, cell_verdicts, decide
from reports.explain.axes import AxisTable, axis_table
from reports.explain.divergence import LogDivergence, compare_log_files
from reports.explain.headlines import Headline, headlines
from reports.load.builds import Side, pick
from reports.load.frame import Results
from reports.vocabulary import CHANGED, OUTCOME, UNDECIDED, UNREGISTERED

# Columns of `Comparison.verdicts`, in this order.
VERDICT_COLUMNS = (
    "cell",
    "metric",
    "kind",
    "unit",
    "better",
    "base",
    "head",
    "verdict",
    "rule",
    "reason",
    "required",
    "waived",
    "ratio",
    "ci_low",
    "ci_high",
    "p",
    "p_adjusted",
    "pairs",
)
# What the author says a change is meant to be.
ANY, REFACTOR, FASTER, POLICY = "any", "refactor", "faster", "policy"
CLAIMS = (ANY, REFACTOR, FASTER, POLICY)
# Reading logs takes time, and a reader looks at a few at most.
MAX_DIVERGENCES = 5


class ReachOfChange(Protocol):
    """How much of a change was executed (see `exhausters.reach.reached.Reach`); its text is shown."""

    @property
    def is_nothing_reached(self) -> bool:
        """Whether there is a change, and no run executed a line of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything known about two builds.

    Attributes:
        base, head: names of the builds.
        decision: the gate's answer.
        headlines: what moved, most important first.
        cells: one row per cell: verdict, base_outcome, head_outcome, reason, and its axes as text.
        verdicts: one row for each cell and metric (`VERDICT_COLUMNS`), outcomes and logs included.
        grid_tests: host time over the whole grid and over each axis value (see `detect_grid`).
        divergences: for the headlines' cells, the step at which the decisions diverge.
        kinds: which kinds of metric were judged, and why the others were not.
        refusals: reasons why something was not compared.
        notes: differences that are allowed and worth knowing.
        table: cells and their varying axes.
    """

    base: str
    head: str
    decision: Decision
    headlines: tuple[Headline, ...]
    cells: pd.DataFrame
    verdicts: pd.DataFrame
    grid_tests: pd.DataFrame
    divergences: tuple[LogDivergence, ...]
    kinds: tuple[KindCoverage, ...]
    refusals: tuple[Refusal, ...]
    notes: tuple[str, ...]
    table: AxisTable


def compare(
    base: Side,
    head: Side,
    *,
    pairs: Results | None = None,
    config: Config | None = None,
    today: date | None = None,
    claim: str = ANY,
    reach: ReachOfChange | None = None,
) -> Comparison:
    """Return the comparison of two builds; bad results are verdicts, not errors.

    Args:
        base, head: the builds.
        pairs: paired host-time results that hold both builds, if they are not in `base` and `head`.
        config: thresholds and waivers.
        today: day for which waivers are read; by default today in UTC.
        claim: what the change is meant to be, one of `CLAIMS`.
        reach: how much of the change was executed, if that was measured.

    Raises:
        SelectionError: `pairs` does not hold both builds.
    """
    config = config or Config()
    today = today or datetime.now(UTC).date()
    refused = refusals(base, head)
    table = axis_table([base.results.frame, head.results.frame], base.results.axes)
    if any(refusal.is_total for refusal in refused):
        outcomes, verdicts, grid_tests = _nothing()
    else:
        outcomes, verdicts, grid_tests = _detect(base, head, pairs, config, refused, table)
    verdicts = apply_waivers(verdicts.reindex(columns=VERDICT_COLUMNS), config.waivers, today)
    found = headlines(verdicts, table)
    return Comparison(
        base=base.label,
        head=head.label,
        decision=decide(
            verdicts,
            grid_tests,
            obstacles=[*_total(refused), *_incomplete(base, "base"), *_incomplete(head, "head")],
            waivers=config.waivers,
            today=today,
        ),
        headlines=found,
        cells=_cells(outcomes, verdicts, table),
        verdicts=verdicts,
        grid_tests=grid_tests,
        divergences=_divergences(found, outcomes),
        kinds=kind_coverage(base.results.frame, head.results.frame, verdicts, refused, len(table.cells)),
        refusals=refused,
        notes=(*comparison_notes(base, head), *_skipped(base, "base"), *_skipped(head, "head")),
        table=table,
    )


def _detect(
    base: Side,
    head: Side,
    pairs: Results | None,
    config: Config,
    refused: Sequence[Refusal],
    table: AxisTable,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    ours, theirs = base.results.frame, head.results.frame
    outcomes = detect_outcomes(ours, theirs)
    drained = outcomes.loc[
        (outcomes["base_outcome"] == DRAINED) & (outcomes["head_outcome"] == DRAINED), "cell"
    ]
    both_ours, both_theirs = (frame[frame["cell"].isin(drained)] for frame in (ours, theirs))
    exact = _refuse_kinds(detect_exact(both_ours, both_theirs, tolerance=config.tolerance), refused)
    paired = [pair_up(ours, theirs)]
    if pairs is not None:
        paired.append(pair_up(pick(pairs, base.label).results.frame, pick(pairs, head.label).results.frame))
    all_pairs = pd.concat(paired, ignore_index=True)
    host = detect_paired(all_pairs, smallest_effect=config.smallest_effect)
    grid_tests = detect_grid(all_pairs, table.as_text(), host, smallest_effect=config.smallest_effect)
    single = unpaired(both_ours, both_theirs, (HOST, UNREGISTERED))
    has_pairs = pd.MultiIndex.from_frame(single[["cell", "metric"]]).isin(
        pd.MultiIndex.from_frame(host[["cell", "metric"]])
    )
    parts = [outcome_verdicts(outcomes), exact, host, single[~has_pairs]]
    verdicts = pd.concat([part for part in parts if len(part)], ignore_index=True)
    return outcomes, verdicts, grid_tests


def _nothing() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    outcomes = pd.DataFrame(
        columns=["cell", "base_outcome", "head_outcome", "base_log", "head_log", "reason"], dtype=object
    )
    grid_tests = pd.DataFrame(columns=["metric", "axis", "axis_value", "verdict", "reason"], dtype=object)
    return outcomes, pd.DataFrame(columns=list(VERDICT_COLUMNS), dtype=object), grid_tests


def _refuse_kinds(verdicts: pd.DataFrame, refused: Sequence[Refusal]) -> pd.DataFrame:
    """Make the kinds undecided that a partial refusal rules out."""
    for refusal in refused:
        kinds = [kind for kind in refusal.kinds if kind in EXACT_KINDS]
        rows = verdicts["kind"].isin(kinds)
        verdicts.loc[rows, ["verdict", "rule", "reason"]] = [UNDECIDED, "comparable", str(refusal)]
    return verdicts


def _total(refused: Sequence[Refusal]) -> list[str]:
    return [f"refused: {refusal}" for refusal in refused if refusal.is_total]


def _incomplete(side: Side, name: str) -> list[str]:
    """Sweeps that left fewer records than their header promises, or did not finish."""
    obstacles = []
    frame = side.results.frame
    for session in side.results.sessions:
        rows = frame[(frame["session"] == session.name) & (frame["metric"] == OUTCOME)]
        found = rows["cell"].nunique()
        if found and session.expected_cells is not None and found < session.expected_cells:
            obstacles.append(
                f"{name}: {session.expected_cells - found} of {session.expected_cells} cells left no record"
            )
        elif found and session.complete is False:
            obstacles.append(f"{name}: the sweep did not finish")
    return obstacles


def _skipped(side: Side, name: str) -> list[str]:
    skipped = side.results.skipped
    return [f"{name}: {len(skipped)} results were not loaded: {skipped[0].reason}"] if skipped else []


def _cells(outcomes: pd.DataFrame, verdicts: pd.DataFrame, table: AxisTable) -> pd.DataFrame:
    words = cell_verdicts(verdicts)
    rows = outcomes[["cell", "base_outcome", "head_outcome", "reason"]]
    rows = rows.assign(verdict=rows["cell"].map(words))
    return rows.merge(table.as_text(), left_on="cell", right_index=True, how="left")


def _divergences(found: Sequence[Headline], outcomes: pd.DataFrame) -> tuple[LogDivergence, ...]:
    logs = outcomes.set_index("cell")
    divergences: dict[str, LogDivergence] = {}
    for headline in found:
        cell = headline.lead.largest_cell
        if cell in divergences or cell not in logs.index or logs.loc[cell, "log_verdict"] != CHANGED:
            continue
        divergences[cell] = compare_log_files(cell, logs.loc[cell, "base_log"], logs.loc[cell, "head_log"])
        if len(divergences) == MAX_DIVERGENCES:
            break
    return tuple(divergences.values())
