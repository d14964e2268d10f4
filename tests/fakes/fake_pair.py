"""One engine of a disaggregated pair over the fake scheduler: its transfers end when they are driven."""

from __future__ import annotations

from array import array
from functools import partial
from typing import Any

from exhausters.engine.api import (
    DECODE_ROLE,
    PREFILL_ROLE,
    Arrival,
    Submission,
    TransferEvents,
    TransferQueues,
)
from exhausters.engine.fake.engine import FakeEngine
from exhausters.engine.fake.scheduler import FakeScheduler
from tests.fakes.fake_engine import ScriptRunner


class _NoSlots:
    """As many as are needed: none is counted."""

    total_slots = 0

    def available_slots(self) -> int:
        return 0

    def in_use_slots(self) -> int:
        return 0


class FakeTransfers:
    """The part of `exhausters.engine.api.Transfers` that runs of a cell use.

    A prefill engine computes a prompt once it is answered; its transfer begins when that is done. A decode
    engine has a place for each request at once, and decodes from the second token on when it has arrived.

    Attributes:
        role: which engine of the pair it is.
    """

    slots = _NoSlots()

    def __init__(self, scheduler: FakeScheduler, role: str) -> None:
        self.role = role
        self._scheduler = scheduler
        self._unanswered: dict[str, Submission] = {}
        self._sent: dict[str, Submission] = {}
        self._arrived: list[Arrival] = []

    def receive(self, submission: Submission) -> None:
        """A request has come."""
        (self._unanswered if self.role == PREFILL_ROLE else self._sent)[submission.rid] = submission

    def clear(self) -> None:
        """Every request was aborted."""
        self._unanswered.clear()
        self._sent.clear()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for a transfer."""
        return not self._unanswered and not self._sent

    def queues(self) -> TransferQueues:
        scheduler = self._scheduler
        computing = {one.rid for one in (*scheduler.queue, *scheduler.holders())}
        transferring = tuple(rid for rid in self._sent if rid not in computing)
        return TransferQueues(bootstrapping=tuple(self._unanswered), transferring=transferring)

    def reserved_tokens(self) -> int:
        return 0

    def take_events(self) -> TransferEvents:
        arrived, self._arrived = tuple(self._arrived), []
        return TransferEvents(arrived=arrived)

    def stalled_rids(self) -> tuple[str, ...]:
        return self.queues().transferring

    def are_under_way(self) -> bool:
        return False

    def answer(self, rid: str) -> None:
        # A request may still be on its way to the scheduler.
        self._scheduler.inbox.append(partial(self._answer, rid))

    def _answer(self, rid: str) -> None:
        sent = self._sent[rid] = self._unanswered.pop(rid)
        self._scheduler.receive(rid, sent.input_ids, 1)

    def arrive(self, rid: str) -> None:
        sent = self._sent.pop(rid)
        self._arrived.append(Arrival(rid=rid, kv_tokens=len(sent.input_ids)))
        if self.role == DECODE_ROLE and sent.max_new_tokens > 1:
            self._scheduler.receive(rid, sent.input_ids + array("q", [5]), sent.max_new_tokens - 1)

    def let_all_go(self) -> None:
        for rid in self.queues().transferring:
            self.arrive(rid)


class PairedEngine(FakeEngine):
    """A fake engine with transfers."""

    def __init__(self, scheduler: FakeScheduler, role: str) -> None:
        super().__init__(scheduler)
        self.transfers: Any = FakeTransfers(scheduler, role)  # type: ignore[assignment]

    def submit(self, submission: Submission) -> None:
        """Send a request; one without a transfer is served by this engine alone."""
        if submission.transfer is None:
            super().submit(submission)
        else:
            self._send(partial(self.transfers.receive, submission))

    def abort_all(self) -> None:
        """Abort every request."""
        super().abort_all()
        self._send(self.transfers.clear)

    def is_idle(self) -> bool:
        """Whether nothing waits, runs or travels."""
        return super().is_idle() and self.transfers.is_idle

    def is_fully_idle(self) -> bool:
        """The same, and the last batch is empty too."""
        return super().is_fully_idle() and self.transfers.is_idle

    def is_drained(self) -> bool:
        """The same."""
        return self.is_fully_idle()


class PairedRunner(ScriptRunner):
    """A `ScriptRunner` whose engine is one of a pair."""

    def __init__(self, role: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.engine = PairedEngine(self.scheduler, role)
