"""Runs a judged cell in the worker, with what a workload cannot say: aborts, pauses, flushes, a bug."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.museum.put_back import Patch, put_back
from exhausters.engine.api import BatchView, Submission
from exhausters.errors import UsageError
from exhausters.scripted.context import ScriptedContext
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import CellResult
from exhausters.sweep.run_options import CHECKED, IN_ROUNDS, DrainLimits, RunOptions
from exhausters.workloads import Workload

# Exhibits are small: whatever has not drained by then will not.
MAX_STEPS = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something done to the engine before a step of the measured part.

    Attributes:
        step: number of the step, from 0.
        do: one of `DOES`.
        rid: the request that it is done to, or the id of the one that is sent.
        tokens: of a request that is sent, its prompt: this many tokens of its own; else the pages to leave.
        like: of a request that is sent, the id whose prompt it shares; empty for its own.
        apart: of a request that is sent, what keeps its prefixes apart from all others; empty for nothing.
    """

    step: int
    do: str
    rid: str = ""
    tokens: int = 16
    like: str = ""
    apart: str = ""

    def __post_init__(self) -> None:
        if self.do not in DOES:
            raise UsageError(f"act {self.do!r}: expected one of {', '.join(DOES)}")

    def later(self, steps: int) -> Act:
        """The same act, some steps later."""
        return replace(self, step=self.step + steps)


def _send(t: ScriptedContext, act: Act, *, max_new_tokens: int) -> None:
    from array import array

    # Any token that is neither the emitted one nor another request's.
    token = 1_000 + sum(map(ord, act.like or act.rid))
    t.engine.submit(
        Submission(
            rid=act.rid,
            input_ids=array("q", [token] * act.tokens),
            sampling={"max_new_tokens": max_new_tokens, "temperature": 0.0},
            lora_path=act.apart or None,
        )
    )


DOES: Mapping[str, Callable[[ScriptedContext, Act], None]] = {
    "abort": lambda t, act: t.engine.abort(act.rid),
    "pause in place": lambda t, act: t.engine.pause("in_place"),
    "pause and retract": lambda t, act: t.engine.pause("retract"),
    "resume": lambda t, act: t.engine.resume(),
    "flush": lambda t, act: t.engine.flush(),
    "leave pages": lambda t, act: t.exhaust_kv(leave_pages=act.tokens),
    "release": lambda t, act: t.release_pressure(),
    # A request that only fills the cache, as for scoring: it emits nothing.
    "send prefill only": lambda t, act: _send(t, act, max_new_tokens=0),
    "send": lambda t, act: _send(t, act, max_new_tokens=4),
}


class _Actor:
    """An observer that acts before the steps of the measured part."""

    def __init__(self, t: ScriptedContext, acts: Sequence[Act]) -> None:
        self._t = t
        self._acts = acts
        self._step = 0

    def on_run_batch(self, batch: BatchView) -> None:
        """Nothing to see."""

    def on_step(self) -> None:
        """Act before the step that is about to begin; the warm-up is over once phases are split."""
        if self._t.phases is None:
            return
        for act in self._acts:
            if act.step == self._step:
                DOES[act.do](self._t, act)
        self._step += 1


def acted(
    t: ScriptedContext,
    cell: Cell,
    workload: Workload,
    acts: Sequence[Mapping[str, Any]],
    patches: Sequence[Mapping[str, str]],
    in_rounds: bool = False,
) -> Generator[None, None, CellResult]:
    """Run a cell with all oracles, acts, and bugs that are put back for as long as it runs.

    Args:
        t: the context of the script.
        cell, workload: what is run.
        acts, patches: each `Act` and `Patch` in plain values: a worker knows this module only once it has
            received what it is to run.
        in_rounds: run it several times over as well, for what shows only then; acts are of the first run.

    Raises:
        UsageError: a bug cannot be put back into this build.
        ConservationError, PressureError, ScriptFailedError: as `run_cell`.
    """
    t.observers.append(_Actor(t, [Act(**one) for one in acts]))
    passes = (CHECKED, IN_ROUNDS) if in_rounds else (CHECKED,)
    options = RunOptions(passes=passes, limits=DrainLimits(max_steps=MAX_STEPS))
    with put_back([Patch(**one) for one in patches]):
        result: Any = yield from run_cell(t, cell, workload, options)
    kept: CellResult = result
    return kept
