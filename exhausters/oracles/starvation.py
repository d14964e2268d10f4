"""How long a waiting request may be passed over."""

from __future__ import annotations

from exhausters.engine.api import MIXED, PREFILL
from exhausters.observe.step_record import StepRecord
from exhausters.oracles.base import Oracle, World


class StarvationBound(Oracle):
    """First come, first served: nobody is overtaken by a request that came later.

    SGLang looks at its queue in order, and stops at the first request that does not fit. So a policy that
    keeps the queue in order of arrival lets nobody pass, whatever the sizes: the bound is no request at all.
    With priorities that holds among those of equal priority. Requests that have run before (retracted,
    preempted, given back by a pause) queue up again wherever the engine puts them: they neither overtake nor
    are overtaken. Policies that sort by something else promise no bound for one request; that all of them end
    is liveness.
    """

    name = "starvation bound"
    wants = (
        "under a policy of first come, first served no request is prefilled while another of the same "
        "priority that arrived in an earlier step waits"
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.not_judged = world.engine.why_unordered()
        # Of those that wait and have never run: the step after which they were first seen, and priority.
        self._waiting: dict[str, tuple[int, int | None]] = {}
        self._has_run: set[str] = set()
        self._waiting_count = 0

    def on_step(self, step: StepRecord) -> None:
        """Compare those that were prefilled for the first time with those that still wait."""
        if self.not_judged or not (step.waiting or self._waiting):
            self._has_run.update(step.rids)
            return
        newly = () if step.mode not in (PREFILL, MIXED) else self._first_prefills(step)
        self._has_run.update(step.rids)
        if not newly and not step.retracted_rids and step.waiting == self._waiting_count:
            return  # nobody came and nobody went
        self._waiting_count = step.waiting
        now = self.world.engine.waiting_priorities()
        before = self._waiting
        kept: dict[str, tuple[int, int | None]] = {}
        for rid, priority in now.items():
            if rid not in self._has_run:
                kept[rid] = before.get(rid, (step.step, priority))
        self._waiting = kept
        for rid in newly if kept else ():
            self.judged += 1
            self._judge(rid, before.get(rid), step)

    def _first_prefills(self, step: StepRecord) -> list[str]:
        prefilled = step.rids[: len(step.rids) - step.decoding_requests]
        return [rid for rid in prefilled if rid not in self._has_run]

    def _judge(self, rid: str, seen: tuple[int, int | None] | None, step: StepRecord) -> None:
        # One that was never seen to wait has arrived in this step; its priority is not known any more.
        arrived = step.step if seen is None else seen[0]
        passed = [
            other
            for other, (since, priority) in self._waiting.items()
            if since < arrived and (priority is None or (seen is not None and priority == seen[1]))
        ]
        if passed and not any(one.rids[0] == passed[0] for one in self.findings):
            since = self._waiting[passed[0]][0]
            self.found(
                f"{rid}, which arrived in step {arrived}, is prefilled in step {step.step} while "
                f"{len(passed)} that arrived before it wait, {passed[0]} since step {since}; "
                f"{step.free_tokens:,} + {step.evictable_tokens:,} evictable KV tokens and "
                f"{step.free_rows} rows are free",
                step=step.step,
                first_step=since,
                rids=(passed[0], rid),
            )
