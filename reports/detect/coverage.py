"""Which kinds of metric a verdict judged, and why it could not judge the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from exhausters.observe.metrics import HOST, KINDS, WORK
from reports.detect.comparable import Refusal
from reports.vocabulary import UNDECIDED

# Reasons that one line gives for a kind.
_MAX_REASONS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class KindCoverage:
    """What a verdict judged of one kind of metric.

    Attributes:
        kind: one of `exhausters.observe.metrics.KINDS`.
        metrics: metrics that were judged in at least one cell.
        cells: cells in which at least one metric was judged.
        all_cells: cells of either build.
        reasons: why the other values were not judged, the most frequent first; may be empty when all were.
    """

    kind: str
    metrics: int
    cells: int
    all_cells: int
    reasons: tuple[str, ...]

    @property
    def is_judged(self) -> bool:
        """Whether any value of this kind was judged."""
        return self.metrics > 0

    @property
    def text(self) -> str:
        """The kind, and in brackets what of it was not judged, and why."""
        facts = [f"{self.cells} of {self.all_cells} cells"] if 0 < self.cells < self.all_cells else []
        facts += self.reasons[:_MAX_REASONS]
        name = self.kind.replace("_", " ")
        return f"{name} ({'; '.join(facts)})" if facts else name


def kind_coverage(
    base: pd.DataFrame,
    head: pd.DataFrame,
    verdicts: pd.DataFrame,
    refused: Sequence[Refusal],
    all_cells: int,
) -> tuple[KindCoverage, ...]:
    """Return the coverage of each kind.

    Args:
        base, head: frames of one build each (see `reports.load.frame`).
        verdicts: rows of verdicts (see `reports.explain.comparison`).
        refused: reasons why kinds were not compared.
        all_cells: number of cells of either build.
    """
    found = []
    for kind in KINDS:
        rows = verdicts[verdicts["kind"] == kind]
        # Host time that was tested is judged, even if the test could not distinguish it from noise.
        is_judged = (rows["verdict"] != UNDECIDED) | rows["p"].notna()
        judged = rows[is_judged]
        reasons = [f"{refusal.field} differs" for refusal in refused if kind in refusal.kinds]
        found.append(
            KindCoverage(
                kind=kind,
                metrics=judged["metric"].nunique(),
                cells=judged["cell"].nunique(),
                all_cells=all_cells,
                reasons=tuple(reasons or _reasons(kind, rows[~is_judged], judged, base, head)),
            )
        )
    return tuple(found)


def _reasons(
    kind: str, left_out: pd.DataFrame, judged: pd.DataFrame, base: pd.DataFrame, head: pd.DataFrame
) -> list[str]:
    if len(left_out):
        return [str(reason) for reason in left_out["reason"].value_counts().index]
    if len(judged):
        return []
    measured = [bool((frame["kind"] == kind).any()) for frame in (base, head)]
    if all(measured):
        return ["no pairs" if kind == HOST else "no cell drained in both builds"]
    if any(measured):
        return [not_measured(kind, "head" if measured[0] else "base")]
    return [not_measured(kind, "either build")]


def not_measured(kind: str, where: str) -> str:
    """Return the reason of a value that was not measured somewhere."""
    return f"not {'counted' if kind == WORK else 'measured'} in {where}"


def coverage_lines(kinds: Sequence[KindCoverage]) -> list[str]:
    """Return what was judged and what was not, one line each."""
    lines = []
    for words, is_judged in (("judged", True), ("not judged", False)):
        texts = [one.text for one in kinds if one.is_judged == is_judged]
        lines += [f"{words}: {', '.join(texts)}"] if texts else []
    return lines
