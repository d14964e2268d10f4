"""Compare two builds: refuse, detect, explain, decide, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pandas as pd

from exhausters.observe.metrics import HOST
from exhausters.sweep.record import DRAINED
from reports.detect.answer import Answer, ReachOfChange
from reports.detect.cell_groups import cell_groups
from reports.detect.comparable import Refusal, comparison_notes, refusals
from reports.detect.completeness import incomplete
from reports.detect.config import Config
from reports.detect.coverage import KindCoverage, kind_coverage
from reports.detect.effect import Effect
from reports.detect.effects import find_effects, judge_cells
from reports.detect.exact import detect_exact
from reports.detect.grid_tests import detect_grid
from reports.detect.measured import EXACT_KINDS
from reports.detect.outcomes import BOTH, detect_outcomes, failed_alike, outcome_verdicts
from reports.detect.pairs import detect_paired, every_pair, unpaired
from reports.detect.verdict import apply_waivers, cell_verdicts, expired, without_waived_cells
from reports.errors import SelectionError
from reports.explain.answer_to import answer_to
from reports.explain.axes import AxisTable, axis_table
from reports.explain.divergence import LogDivergence
from reports.explain.divergent_cells import find_divergences
from reports.explain.headlines import Headline, headlines
from reports.load.builds import Side, pick
from reports.load.frame import Results
from reports.vocabulary import ANY, BROKEN, CLAIMS, UNDECIDED, UNREGISTERED

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
    "judged",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything known about two builds.

    Attributes:
        base, head: names of the builds.
        base_commit, head_commit: their commits, if known.
        base_subject, head_subject: first lines of the commits' messages; empty if unknown.
        grid: name of the grid that was swept, if known.
        decision: the gate's answer.
        effects: one number for each workload and each outcome or cost.
        headlines: what moved, most important first.
        cells: one row per cell: verdict, base_outcome, head_outcome, reason, broken_in, and its axes as text.
        verdicts: one row for each cell and metric (`VERDICT_COLUMNS`), outcomes and logs included.
        grid_tests: host time over the whole grid and over each axis value (see `detect_grid`).
        divergences: for one cell of each workload, the step at which the decisions diverge.
        kinds: which kinds of metric were judged, and why the others were not.
        refusals: reasons why something was not compared.
        notes: differences that are allowed and worth knowing.
        table: cells and their varying axes.
    """

    base: str
    head: str
    base_commit: str | None
    head_commit: str | None
    base_subject: str
    head_subject: str
    grid: str | None
    decision: Answer
    effects: tuple[Effect, ...]
    headlines: tuple[Headline, ...]
    cells: pd.DataFrame
    verdicts: pd.DataFrame
    grid_tests: pd.DataFrame
    divergences: tuple[LogDivergence, ...]
    kinds: tuple[KindCoverage, ...]
    refusals: tuple[Refusal, ...]
    notes: tuple[str, ...]
    table: AxisTable

    @property
    def broken_in(self) -> str | None:
        """Where cells are broken: `head` if it is in one in which base is not, else `both` or `base`."""
        found = set(self.cells.loc[self.cells["verdict"] == BROKEN, "broken_in"])
        return next((name for name in ("head", BOTH, "base") if name in found), None)


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
        base: the build to compare with.
        head: the build to be judged.
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
    if claim not in CLAIMS:
        raise SelectionError(f"claim {claim!r}: expected one of {', '.join(CLAIMS)}")
    sides = _sides(base, head, pairs)
    refused = refusals(base, head)
    table = axis_table([base.results.frame, head.results.frame], base.results.axes)
    if any(refusal.is_total for refusal in refused):
        outcomes, verdicts, grid_tests = _nothing()
    else:
        outcomes, verdicts, grid_tests = _detect(sides, config, refused, table)
    verdicts = apply_waivers(verdicts.reindex(columns=VERDICT_COLUMNS), config.waivers, today)
    verdicts = verdicts.assign(judged=judge_cells(verdicts, config))
    groups = cell_groups([base.results.frame, head.results.frame])
    judged = without_waived_cells(verdicts, config.waivers, today)
    effects = find_effects(judged, groups, grid_tests, config)
    divergences = find_divergences(effects, outcomes, groups)
    kinds = kind_coverage(base.results.frame, head.results.frame, verdicts, refused, len(table.cells))
    obstacles = [*_total(refused), *incomplete(sides), *expired(config.waivers, today)]
    return Comparison(
        base=base.label,
        head=head.label,
        base_commit=_commit(base),
        head_commit=_commit(head),
        base_subject=_subject(base),
        head_subject=_subject(head),
        grid=next((one.grid for one in head.results.sessions if one.grid), None),
        decision=answer_to(
            judged,
            effects,
            first=divergences[0] if divergences else None,
            failed_alike=failed_alike(outcomes),
            kinds=kinds,
            obstacles=obstacles,
            claim=claim,
            reach=reach,
            accepts_trade_offs=config.accepts_trade_offs,
        ),
        effects=effects,
        headlines=headlines(verdicts, table),
        cells=_cells(outcomes, verdicts, table),
        verdicts=verdicts,
        grid_tests=grid_tests,
        divergences=divergences,
        kinds=kinds,
        refusals=refused,
        notes=(*comparison_notes(base, head), *_skipped(base, "base"), *_skipped(head, "head")),
        table=table,
    )


def _commit(side: Side) -> str | None:
    known = side.results.frame["commit"].dropna()
    return str(known.iloc[0]) if len(known) else None


def _subject(side: Side) -> str:
    provenance = side.results.frame["provenance"]
    return str(provenance.iloc[0].get("subject") or "") if len(provenance) else ""


def _sides(base: Side, head: Side, pairs: Results | None) -> list[tuple[str, Side]]:
    """Both builds, then both builds in the pairs, where there are any."""
    sides = [("base", base), ("head", head)]
    if pairs is not None:
        sides += [("pairs", pick(pairs, side.label)) for side in (base, head)]
    return sides


def _detect(
    sides: Sequence[tuple[str, Side]],
    config: Config,
    refused: Sequence[Refusal],
    table: AxisTable,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    ours, theirs, *paired = (side.results.frame for _, side in sides)
    outcomes = detect_outcomes(ours, theirs)
    drained = outcomes.loc[
        (outcomes["base_outcome"] == DRAINED) & (outcomes["head_outcome"] == DRAINED), "cell"
    ]
    both_ours, both_theirs = (frame[frame["cell"].isin(drained)] for frame in (ours, theirs))
    exact = _refuse_kinds(detect_exact(both_ours, both_theirs, tolerance=config.tolerance), refused)
    all_pairs = every_pair([(ours, theirs), *([(paired[0], paired[1])] if paired else [])])
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
    columns = [
        "cell",
        "base_outcome",
        "head_outcome",
        "base_log",
        "head_log",
        "verdict",
        "reason",
        "broken_in",
    ]
    outcomes = pd.DataFrame(columns=columns, dtype=object)
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


def _skipped(side: Side, name: str) -> list[str]:
    skipped = side.results.skipped
    return [f"{name}: {len(skipped)} results were not loaded: {skipped[0].reason}"] if skipped else []


def _cells(outcomes: pd.DataFrame, verdicts: pd.DataFrame, table: AxisTable) -> pd.DataFrame:
    words = cell_verdicts(verdicts)
    rows = outcomes[["cell", "base_outcome", "head_outcome", "reason", "broken_in"]]
    rows = rows.assign(verdict=rows["cell"].map(words))
    return rows.merge(table.as_text(), left_on="cell", right_index=True, how="left")
