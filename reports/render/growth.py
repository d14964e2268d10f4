"""The growth of a step's cost: a table for a terminal, and a document for `growth.json`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from exhausters.console import headed_table, print_line
from exhausters.growth.window import CPU_TIME
from reports.detect.growth import Series
from reports.detect.growth_answer import GrowthAnswer
from reports.render.terminal import STYLES
from reports.vocabulary import BETTER, BROKEN, NOT_JUDGED, SAME, UNDECIDED, WORSE

_WORDS = {
    WORSE: "worse: the cost of a step grows faster",
    BETTER: "better: the cost of a step grows more slowly",
    SAME: "same: the cost of a step grows as it did",
    UNDECIDED: "undecided: no growth is known to be faster, and not all of it is known to be the same",
    BROKEN: "broken: not every size could be measured",
}
_NAMES = {CPU_TIME: "CPU time, µs"}


def print_growth(
    series: Sequence[Series], answer: GrowthAnswer, *, units: Mapping[str, str], console: Console
) -> None:
    """Print the answer, one table per axis, and the reasons of what is undecided or broken."""
    if answer.verdict != NOT_JUDGED:
        where = [axis for axis, verdict in answer.by_axis.items() if verdict == answer.verdict]
        console.print(
            Text(f"{_WORDS[answer.verdict]} ({', '.join(where)})", style=STYLES[answer.verdict]),
            soft_wrap=True,
        )
    for axis, unit in units.items():
        mine = [one for one in series if one.axis == axis and one.verdict != BROKEN]
        if mine:
            console.print()
            _print_axis(mine, axis, unit, console)
    for reason in dict.fromkeys(_reasons(series)):
        print_line(console, reason)


def _print_axis(series: Sequence[Series], axis: str, unit: str, console: Console) -> None:
    judged = any(one.verdict != NOT_JUDGED for one in series)
    sizes = series[0].sizes
    table = headed_table(f"{axis}: {sizes[0]:,} to {sizes[-1]:,} {unit}")
    table.add_column("a step's")
    heads = [f"at {sizes[0]:,}", f"at {sizes[-1]:,}", f"per 1,000 {unit}"]
    heads += ["growth makes it", "verdict"] if judged else []
    for head in heads:
        table.add_column(head, justify="right")
    for one in series:
        scale = 1e3 if one.metric == CPU_TIME else 1.0
        ends = [
            _both(one.base[place] * scale, one.head[place] * scale, judged, "{:,.1f}") for place in (0, -1)
        ]
        slope = _both(one.base_slope, one.head_slope, judged, "{:+,.1f}")
        row: list[Text | str] = [_name(one.metric), *ends, slope]
        if judged:
            row += [_effect(one), Text(one.verdict, style=STYLES.get(one.verdict, ""))]
        table.add_row(*row)
    console.print(table)


def _name(metric: str) -> str:
    return _NAMES.get(metric, metric.removesuffix("_per_step").replace("_", " "))


def _both(base: float, head: float, judged: bool, form: str) -> str:
    ours, theirs = (form.format(value + 0.0 if abs(value) >= 0.05 else 0.0) for value in (base, head))
    return ours if not judged or ours == theirs else f"{ours} → {theirs}"


def _effect(one: Series) -> str:
    if math.isnan(one.effect):
        return "–"
    text = f"{one.effect:+.1%}" if abs(one.effect) >= 5e-5 else "0 %"
    if not math.isnan(one.ci_low):
        text += f" [{one.ci_low:+.1%}, {one.ci_high:+.1%}]"
    return text.replace("%", " %").replace("  ", " ")


def _reasons(series: Sequence[Series]) -> Iterator[str]:
    """Each reason once, with the metric where it is that of one metric."""
    shared = Counter((one.axis, one.reason) for one in series)
    for one in series:
        if one.reason:
            is_shared = one.verdict == BROKEN or shared[one.axis, one.reason] > 1
            what = one.axis if is_shared else f"{one.axis}, {_name(one.metric)}"
            yield f"{one.verdict}: {what}: {one.reason}"


def growth_document(series: Sequence[Series], answer: GrowthAnswer) -> dict[str, Any]:
    """Return the answer and every series as plain values; what is not known is null."""
    return {
        "answer": {
            "verdict": answer.verdict,
            "by_axis": dict(answer.by_axis),
            "exit_code": answer.exit_code,
        },
        "series": [_series(one) for one in series],
    }


def _series(one: Series) -> dict[str, Any]:
    return {
        "axis": one.axis,
        "metric": one.metric,
        "sizes": list(one.sizes),
        "base": [_known(value) for value in one.base],
        "head": [_known(value) for value in one.head],
        **{
            name: _known(getattr(one, name))
            for name in ("base_slope", "head_slope", "effect", "ci_low", "ci_high", "p_adjusted")
        },
        "verdict": one.verdict,
        "reason": one.reason,
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
