"""Whether two runs of one cell gave the same exact results, and in words what differs."""

from __future__ import annotations

import math

from exhausters.observe.decision_log import first_divergence
from exhausters.observe.divergence_sentence import divergence_sentence
from exhausters.observe.metrics import HOST, METRICS, WORK
from exhausters.sweep.record import CellResult

# Counted work of equal runs agrees to this, relatively: a first call in a process pays once.
WORK_TOLERANCE = 1e-4


def differences(base: CellResult, head: CellResult) -> list[str]:
    """Return a clause for each exact thing that differs: outcome, decisions, metrics; host time is left out.

    Metrics that only one side has, such as counted work, are not compared.
    """
    found = []
    if base.outcome != head.outcome:
        found.append(f"outcome {base.outcome} → {head.outcome}{_because(head)}")
    sentence = decisions_differ(base, head)
    if sentence is not None:
        found.append(sentence)
    return found + [
        f"{name} {_shown(base.metrics[name])} → {_shown(head.metrics[name])}"
        for name, metric in METRICS.items()
        if metric.kind != HOST
        and name in base.metrics
        and name in head.metrics
        and not _equal(base.metrics[name], head.metrics[name], is_work=metric.kind == WORK)
    ]


def decisions_differ(base: CellResult, head: CellResult) -> str | None:
    """Return the first divergence of two decision logs in words; None where they are equal."""
    divergence = first_divergence(base.log, head.log, context=0)
    if divergence is None:
        return None
    before, after = (next(iter(side), None) for side in (divergence.base, divergence.head))
    return divergence_sentence(before, after)


def _equal(base: float | int | None, head: float | int | None, *, is_work: bool) -> bool:
    if base is None or head is None or not is_work:
        return base == head
    return math.isclose(base, head, rel_tol=WORK_TOLERANCE)


def _shown(value: float | int | None) -> str:
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _because(result: CellResult) -> str:
    return f" ({result.reason})" if result.reason else ""
