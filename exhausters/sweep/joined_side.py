"""One engine of a joined pair, run inside its worker: it steps when the process between both lets it."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable
from dataclasses import replace
from multiprocessing.connection import Client

from exhausters.engine.api import PREFILL_ROLE
from exhausters.observe.recorder import Recorder
from exhausters.observe.step_record import IDLE
from exhausters.observe.summary import summarize
from exhausters.observe.transfer_time import TransferTime
from exhausters.scripted.context import ScriptedContext
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import warm_up
from exhausters.sweep.facts import planned_facts
from exhausters.sweep.feeder import Feeder
from exhausters.sweep.joined_messages import ANSWERED, ARRIVED, SUBMITTED, Go, PairEvent, Ran, Stop
from exhausters.sweep.record import DRAINED, CellResult
from exhausters.sweep.run_options import RunOptions
from exhausters.workloads import Request, Transfer, Workload
from exhausters.workloads.transfer import DRIVEN, STALLS


def run_side(
    context: ScriptedContext,
    cell: Cell,
    workload: Workload,
    address: str,
    options: RunOptions,
    transfer_time: TransferTime,
) -> Generator[None, None, CellResult]:
    """Run one engine's part of a workload; the outcome is for the other process to say.

    Args:
        address: where the process between both engines listens.

    Raises:
        ScriptFailedError, PressureError, ConservationError: as `run_cell` of drain.py.
        UnsupportedSettingError: the engine runs alone.
    """
    is_prefill = context.transfers.role == PREFILL_ROLE
    yield from warm_up(context, workload, options.limits)
    context.apply_pressure(cell.levels)
    recorder = Recorder(
        engine=context.engine,
        clock=context.clock,
        pressure=context.pressure,
        forward_time=options.forward_time,
    )
    stall_steps = options.limits.stall_steps
    side: _Side
    if is_prefill:
        side = _Prefill(context, recorder, workload, stall_steps=stall_steps, transfer_time=transfer_time)
    else:
        side = _Decode(context, recorder, workload, stall_steps=stall_steps)
    recorder.start()
    context.observers.append(recorder)
    try:
        with Client(address) as connection:
            connection.send((context.transfers.role, Ran(next_ns=side.next_ns())))
            while not isinstance(told := connection.recv(), Stop):
                connection.send((yield from side.go(told)))
    finally:
        recorder.stop()
        context.observers.clear()
    context.release_pressure()
    return _result(context, cell, workload, options, recorder, side)


def _result(
    context: ScriptedContext,
    cell: Cell,
    workload: Workload,
    options: RunOptions,
    recorder: Recorder,
    side: _Side,
) -> CellResult:
    planned = planned_facts(cell, workload, goodput=options.goodput, text=context.text)
    facts = replace(
        planned,
        submitted_steps=side.submitted_steps,
        arrival_ns=side.arrival_ns,
        wanted_outputs=side.wanted_outputs,
    )
    return CellResult(
        outcome=DRAINED,
        reason="",
        log=recorder.log,
        metrics=summarize(recorder.log, facts),
        provenance={"forward_time_model": options.forward_time.name, "workload_digest": workload.digest},
        facts=facts.without_sequences(),
    )


class _Side(ABC):
    """Steps of one engine, by the time that both have.

    Attributes:
        submitted_steps, arrival_ns, wanted_outputs: as `RunFacts` has them.
    """

    def __init__(
        self, context: ScriptedContext, recorder: Recorder, workload: Workload, *, stall_steps: int
    ) -> None:
        self._context = context
        self._stall_steps = stall_steps
        self._recorder = recorder
        self._start_ns = context.clock.elapsed_ns
        self._tokens = {one.rid: one.prompt_tokens for one in workload.requests}
        self._agenda: list[PairEvent] = []
        self._told: list[PairEvent] = []
        self._in_transfer: frozenset[str] = frozenset()
        self._quiet_steps = 0
        self._numbers = 0
        self.submitted_steps: dict[str, int] = {}
        self.arrival_ns: dict[str, int] = {}
        self.wanted_outputs: dict[str, int] = {}

    @property
    def now_ns(self) -> int:
        """Modelled time since the start."""
        return self._context.clock.elapsed_ns - self._start_ns

    def next_ns(self) -> int | None:
        """When the next step begins; None when the engine has nothing to do."""
        if not self._context.is_fully_idle or self._context.has_unreceived:
            return self.now_ns
        due = [one.time_ns for one in self._agenda[:1]]
        own = self._next_due_ns()
        if own is not None:
            due.append(own)
        return max(self.now_ns, min(due)) if due else None

    def go(self, told: Go) -> Generator[None, None, Ran]:
        """Take the steps that may be taken; see `Go`."""
        for event in told.events:
            heapq.heappush(self._agenda, event)
            self._quiet_steps = 0
        self._told = []
        while not self._told:
            begin = self.next_ns()
            if begin is None or (told.until_ns is not None and begin > told.until_ns):
                break
            # The other has nothing to do, and nothing comes: whether that is a stall is not for this side.
            if told.until_ns is None and self._quiet_steps >= self._stall_steps:
                break
            self._context.clock.advance_ns(begin - self.now_ns)
            self._act(begin)
            yield
            self._look(begin)
        return Ran(
            next_ns=self.next_ns(),
            events=tuple(self._told),
            quiet_steps=self._quiet_steps,
            steps=self._recorder.step_count,
        )

    def _act(self, begin_ns: int) -> None:
        """Do what is due when a step begins."""
        while self._agenda and self._agenda[0].time_ns <= begin_ns:
            self._on_event(heapq.heappop(self._agenda))
            self._quiet_steps = 0

    def _look(self, begin_ns: int) -> None:
        """See what a step has done."""
        transferring = self._context.transfers.queues().transferring
        begun = [rid for rid in transferring if rid not in self._in_transfer]
        self._in_transfer = frozenset(transferring)
        if begun:
            self._on_begun(begun, begin_ns)
        is_quiet = self._recorder.last_mode == IDLE and not self._agenda and not self._told
        self._quiet_steps = self._quiet_steps + 1 if is_quiet else 0

    def _tell(self, action: str, rid: str, time_ns: int) -> PairEvent:
        self._numbers += 1
        event = PairEvent(time_ns=time_ns, number=self._numbers, rid=rid, action=action)
        self._told.append(event)
        return event

    @abstractmethod
    def _next_due_ns(self) -> int | None:
        """When a request of its own comes."""

    @abstractmethod
    def _on_event(self, event: PairEvent) -> None:
        """The other engine has told something whose time has come."""

    @abstractmethod
    def _on_begun(self, rids: Iterable[str], begin_ns: int) -> None:
        """Transfers have begun in the step that began then."""


class _Prefill(_Side):
    """Prefills what the decode engine has a place for; its KV then takes the link's time."""

    def __init__(
        self,
        context: ScriptedContext,
        recorder: Recorder,
        workload: Workload,
        *,
        stall_steps: int,
        transfer_time: TransferTime,
    ) -> None:
        super().__init__(context, recorder, workload, stall_steps=stall_steps)
        self._transfer_time = transfer_time
        self._link_free_ns = 0
        self._requests = {one.rid: _with(one, Transfer(steps=0, fate=DRIVEN)) for one in workload.requests}
        self.wanted_outputs = dict.fromkeys(self._requests, 1)

    def _next_due_ns(self) -> int | None:
        return None

    def _on_event(self, event: PairEvent) -> None:
        if event.action == SUBMITTED:
            self.arrival_ns[event.rid] = event.time_ns
            self.submitted_steps[event.rid] = self._recorder.step_count
            self._context.submit_request(self._requests[event.rid])
        elif event.action == ANSWERED:
            self._context.transfers.answer(event.rid)
        else:
            self._context.transfers.arrive(event.rid)

    def _on_begun(self, rids: Iterable[str], begin_ns: int) -> None:
        # The normal loop looks at a forward's result, and sends, at the end of its step; the overlap loop
        # beside the next forward, as soon as that one has ended.
        sent_ns = begin_ns if self._context.engine.is_overlapped else self.now_ns
        for rid in rids:
            begin = max(sent_ns, self._link_free_ns)
            self._link_free_ns = arrival = begin + self._transfer_time.transfer_ns(self._tokens[rid])
            heapq.heappush(self._agenda, self._tell(ARRIVED, rid, arrival))


class _Decode(_Side):
    """Takes the requests as they come, tells the prefill engine, and when it has a place for each."""

    def __init__(
        self, context: ScriptedContext, recorder: Recorder, workload: Workload, *, stall_steps: int
    ) -> None:
        super().__init__(context, recorder, workload, stall_steps=stall_steps)
        requests = [_with(one, Transfer(steps=0, fate=STALLS)) for one in workload.requests]
        self._feeder = Feeder(context, requests, recorder)
        self.submitted_steps = self._feeder.submitted_steps
        self.arrival_ns = self._feeder.arrival_ns
        self.wanted_outputs = self._feeder.wanted_outputs

    def _next_due_ns(self) -> int | None:
        # Asked when the engine is idle: what follows a request that has ended becomes due by it.
        return None if self._feeder.is_done else self._feeder.next_due_ns

    def _act(self, begin_ns: int) -> None:
        super()._act(begin_ns)
        before = len(self.arrival_ns)
        self._feeder.submit_due()
        for rid in list(self.arrival_ns)[before:]:
            self._tell(SUBMITTED, rid, self.arrival_ns[rid])

    def _on_event(self, event: PairEvent) -> None:
        self._context.transfers.arrive(event.rid)

    def _on_begun(self, rids: Iterable[str], begin_ns: int) -> None:
        # Places are reserved before the step's forward.
        for rid in rids:
            self._tell(ANSWERED, rid, begin_ns)


def _with(request: Request, transfer: Transfer) -> Request:
    return replace(request, transfer=transfer)
