"""What an engine of a disaggregated pair does with its transfers in one step, for the recorder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from exhausters.engine.api import Arrival, Engine
from exhausters.pressure import PressureSet
from exhausters.pressure.prealloc_slots import PreallocSlotExhauster


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferStep:
    """One step of the transfers; the fields of `StepRecord` say what each is.

    Attributes:
        arrived: transfers that ended well, with what they brought.
    """

    role: str = ""
    bootstrapping: int = 0
    preallocating: int = 0
    transferring: int = 0
    transfer_tokens: int = 0
    held_prealloc_slots: int = 0
    arrived: tuple[Arrival, ...] = ()
    failed_rids: tuple[str, ...] = ()

    @property
    def arrived_rids(self) -> tuple[str, ...]:
        """Requests whose first token has come."""
        return tuple(one.rid for one in self.arrived if one.brings_token)

    @property
    def arrived_tokens(self) -> int:
        """KV tokens that have come."""
        return sum(one.kv_tokens for one in self.arrived)


_NOTHING = TransferStep()


class TransferWatch:
    """Looks at queues and transfers after each step; of an engine that runs alone, at nothing."""

    def __init__(self, engine: Engine, pressure: PressureSet) -> None:
        self._transfers = engine.transfers
        self._exhauster = cast(PreallocSlotExhauster, pressure.exhauster(PreallocSlotExhauster.level_name))
        self._arrived: list[Arrival] = []
        self._failed: list[str] = []

    @property
    def role(self) -> str:
        """Which engine of a pair it is; empty for one that runs alone."""
        return "" if self._transfers is None else self._transfers.role

    def start(self) -> None:
        """Forget what happened before."""
        if self._transfers is not None:
            self._transfers.take_events()

    def collect(self) -> tuple[Arrival, ...]:
        """Return what has arrived since the last call, and keep all that happened for `take_step`."""
        if self._transfers is None:
            return ()
        events = self._transfers.take_events()
        self._arrived += events.arrived
        self._failed += events.failed_rids
        return events.arrived

    def take_step(self) -> TransferStep:
        """Return what there is after a step, and what was collected since the last call."""
        transfers = self._transfers
        if transfers is None:
            return _NOTHING
        queues = transfers.queues()
        arrived, failed = tuple(self._arrived), tuple(self._failed)
        self._arrived, self._failed = [], []
        return TransferStep(
            role=transfers.role,
            bootstrapping=len(queues.bootstrapping),
            preallocating=len(queues.preallocating),
            transferring=len(queues.transferring),
            transfer_tokens=transfers.reserved_tokens(),
            held_prealloc_slots=self._exhauster.held_prealloc_slots,
            arrived=arrived,
            failed_rids=failed,
        )
