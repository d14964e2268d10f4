"""Submits a workload's requests when they are due in modelled time."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence

from exhausters.engine.api import outputs_owed
from exhausters.observe.recorder import Recorder
from exhausters.scripted.context import ScriptedContext
from exhausters.sweep.events import Events
from exhausters.sweep.sessions import SessionsOfRun
from exhausters.workloads import Request


class Feeder:
    """Knows what has arrived, what waits for another request to finish, and what is done.

    Attributes:
        submitted_steps: step at which each request was submitted, by request id.
        arrival_ns: modelled time at which each was due, since the start, by request id.
        wanted_outputs: tokens that each is to emit, by request id: what it asked for, or what the scheduler
            lets it.
        events: what the workload does to its requests.
        shortened_outputs: tokens that were asked for where the scheduler lets a request emit fewer.
    """

    def __init__(self, context: ScriptedContext, requests: Sequence[Request], recorder: Recorder) -> None:
        self._context = context
        self._recorder = recorder
        self._start_ns = context.clock.elapsed_ns
        self._requests = {request.rid: request for request in requests}
        transfers = context.engine.transfers
        self.wanted_outputs = {one.rid: outputs_owed(transfers, one.output_tokens) for one in requests}
        self.shortened_outputs: dict[str, int] = {}
        self._unread: list[str] = []
        # (due in ns, position, request): the position keeps the workload's order among equal times. Whole
        # nanoseconds, so that no rounding can let a request that is due be due one step later.
        self._due: list[tuple[int, int, Request]] = []
        self._followers: dict[str, list[tuple[int, Request]]] = defaultdict(list)
        for position, request in enumerate(requests):
            if request.after is None:
                heapq.heappush(self._due, (_ns(request.arrival_seconds), position, request))
            else:
                self._followers[request.after].append((position, request))
        self.submitted_steps: dict[str, int] = {}
        self.arrival_ns: dict[str, int] = {}
        self.events = Events(context, requests, recorder)
        self._sessions = SessionsOfRun(context, requests)

    @property
    def is_done(self) -> bool:
        """Whether everything was submitted; what waits for an aborted request never will be."""
        self._release_followers(all_idle=True)
        return not self._due and self._sessions.close_all()

    @property
    def unfinished_rids(self) -> list[str]:
        """Those that have not emitted all the tokens they asked for, and that the workload did not abort."""
        outputs, aborted = self._recorder.outputs, self.events.aborted
        return [
            rid for rid, wanted in self.wanted_outputs.items() if outputs[rid] < wanted and rid not in aborted
        ]

    @property
    def owed_outputs(self) -> dict[str, int]:
        """Tokens that each request is to emit; of those that the workload aborted what they did emit."""
        outputs, aborted = self._recorder.outputs, self.events.aborted
        return {
            rid: min(wanted, outputs[rid]) if rid in aborted else wanted
            for rid, wanted in self.wanted_outputs.items()
        }

    def prompt(self, rid: str) -> Sequence[int]:
        """The prompt's tokens; empty for a request that is not of this workload."""
        request = self._requests.get(rid)
        return () if request is None else request.tokens(self._context.text)

    def wanted_outputs_of(self, rid: str) -> int:
        """Tokens that a request is to emit; 0 for one that is not of this workload."""
        return self.wanted_outputs.get(rid, 0)

    def is_scored(self, rid: str) -> bool:
        """Whether it asks for log-probabilities of its prompt."""
        request = self._requests.get(rid)
        return request is not None and request.logprobs_from is not None

    def adapter_of(self, rid: str) -> str:
        """The adapter that it names; empty for none."""
        request = self._requests.get(rid)
        return "" if request is None or request.adapter is None else request.adapter

    def is_prefill_only(self, rid: str) -> bool:
        """Whether it asks for no outputs."""
        request = self._requests.get(rid)
        return request is not None and request.max_new_tokens == 0

    @property
    def unfinished_requests(self) -> list[Request]:
        """Those that have not emitted all the tokens they asked for."""
        return [self._requests[rid] for rid in self.unfinished_rids]

    def submit_due(self) -> None:
        """Submit what is due now, and close the sessions whose last turn has ended."""
        self._sessions.close_ended(self._has_ended)
        if self._followers:
            self._release_followers(all_idle=False)
        now = self._now_ns()
        while self._due and self._due[0][0] <= now:
            due, _, request = heapq.heappop(self._due)
            self.arrival_ns[request.rid] = due
            self.submitted_steps[request.rid] = self._recorder.step_count
            self._context.submit_request(request)
            self._unread.append(request.rid)

    def read_limits(self) -> None:
        """Learn what the scheduler lets those emit that it has received since; between two steps."""
        if not self._unread or self._context.has_unreceived:
            return
        limits = self._context.engine.output_limits()
        for rid in self._unread:
            asked = self.wanted_outputs[rid]
            # A limit of nothing is a refusal: the request is lost, not shortened.
            if 0 < limits.get(rid, asked) < asked:
                self.wanted_outputs[rid], self.shortened_outputs[rid] = limits[rid], asked
        self._unread.clear()

    @property
    def next_due_ns(self) -> int | None:
        """When the next request is due, since the start; None when none is known to come."""
        return self._due[0][0] if self._due else None

    def skip_to_next_arrival(self) -> None:
        """Move the clock to the next arrival: nothing runs or waits until then."""
        if self._due:
            self._context.clock.advance_ns(max(0, self._due[0][0] - self._now_ns()))

    def _release_followers(self, *, all_idle: bool) -> None:
        """Make due what follows requests that have finished, `arrival_seconds` after now.

        Args:
            all_idle: nothing runs or waits, so whatever was submitted has ended, aborted or not.
        """
        now = self._now_ns()
        for rid in list(self._followers):
            ended = all_idle and rid in self.submitted_steps
            if ended or self._recorder.outputs[rid] >= self.wanted_outputs[rid]:
                for position, request in self._followers.pop(rid):
                    heapq.heappush(self._due, (now + _ns(request.arrival_seconds), position, request))

    def _has_ended(self, rid: str) -> bool:
        """Whether a request has emitted all that it is to emit."""
        return rid in self.submitted_steps and self._recorder.outputs[rid] >= self.wanted_outputs[rid]

    def _now_ns(self) -> int:
        return self._context.clock.elapsed_ns - self._start_ns


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
