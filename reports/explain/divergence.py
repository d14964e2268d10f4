"""The first step at which the decisions of two builds diverge, with both sides."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from exhausters.errors import LogFormatError
from exhausters.observe.decision_log import DecisionLog, first_divergence
from exhausters.observe.divergence_sentence import divergence_sentence
from exhausters.observe.step_record import StepRecord

CONTEXT_STEPS = 2
# Fields that are always shown, so that a reader knows what the step did.
_ALWAYS = ("step", "mode", "rids", "tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDivergence:
    """The first divergence of two logs of one cell.

    Attributes:
        cell: the cell.
        sentence: what head does differently there, in words; empty where there is a problem.
        step: number of the first step that differs; None when the logs are equal or one is unreadable.
        field_names: what differs there; empty when one log simply ends.
        base, head: the steps around it as plain mappings: what differs anywhere in the window, and
            `step`, `mode`, `rids`, `tokens`.
        problem: why there is nothing to show; empty otherwise.
    """

    cell: str
    sentence: str = ""
    step: int | None = None
    field_names: tuple[str, ...] = ()
    base: tuple[dict[str, Any], ...] = ()
    head: tuple[dict[str, Any], ...] = ()
    problem: str = ""


def compare_log_files(cell: str, base_log: object, head_log: object) -> LogDivergence:
    """Return the first divergence of the logs in two files; a problem is part of the answer, never raised."""
    if not isinstance(base_log, str) or not isinstance(head_log, str):
        return LogDivergence(cell=cell, problem="a decision log is missing")
    try:
        return compare_logs(cell, DecisionLog.read(Path(base_log)), DecisionLog.read(Path(head_log)))
    except LogFormatError as error:
        return LogDivergence(cell=cell, problem=str(error))
    except OSError as error:
        return LogDivergence(cell=cell, problem=f"cannot read a decision log: {error.strerror}")


def compare_logs(cell: str, base: DecisionLog, head: DecisionLog) -> LogDivergence:
    """Return the first divergence of two logs."""
    divergence = first_divergence(base, head, context=CONTEXT_STEPS)
    if divergence is None:
        return LogDivergence(cell=cell, problem="the decision logs are equal")
    shown = _shown_fields(divergence.base, divergence.head, divergence.field_names)
    return LogDivergence(
        cell=cell,
        sentence=divergence_sentence(
            *(
                next((one for one in side if one.step == divergence.step), None)
                for side in (divergence.base, divergence.head)
            )
        ),
        step=divergence.step,
        field_names=divergence.field_names,
        base=tuple(_plain(record, shown) for record in divergence.base),
        head=tuple(_plain(record, shown) for record in divergence.head),
    )


def _shown_fields(
    base: tuple[StepRecord, ...], head: tuple[StepRecord, ...], names: tuple[str, ...]
) -> tuple[str, ...]:
    differing = {
        name
        for ours, theirs in zip(base, head, strict=False)
        for name in StepRecord.__dataclass_fields__
        if getattr(ours, name) != getattr(theirs, name)
    }
    wanted = {*_ALWAYS, *names, *differing}
    return tuple(name for name in StepRecord.__dataclass_fields__ if name in wanted)


def _plain(record: StepRecord, shown: tuple[str, ...]) -> dict[str, Any]:
    values = asdict(record)
    return {name: list(v) if isinstance(v := values[name], tuple) else v for name in shown}
