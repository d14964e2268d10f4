"""Takes free slots for transfers away from an engine of a disaggregated pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from exhausters.engine.api import PreallocSlots, Transfers
from exhausters.errors import UnsupportedSettingError
from exhausters.pressure.base import Exhauster, attempt_all
from exhausters.pressure.kind import ExhausterKind


class HasTransfers(Protocol):
    """The part of an engine that is needed here."""

    @property
    def transfers(self) -> Transfers | None:
        """What it exchanges with the other engine of a pair."""


class PreallocSlotExhauster(Exhauster):
    """Holds slots back that a request needs before anything is reserved for it, or prefilled.

    A decode engine preallocates pages for no request without a slot, a prefill engine admits none. Which
    slots are taken makes no difference to any decision.
    """

    level_name: ClassVar[str] = "leave_prealloc_slots"

    def __init__(self, engine: HasTransfers) -> None:
        super().__init__()
        self._engine = engine
        self._taken: list[Sequence[int]] = []

    @property
    def held_prealloc_slots(self) -> int:
        """Slots held back now."""
        return sum(len(slots) for slots in self._taken)

    def _take(self, level: int) -> None:
        slots = self._slots(level)
        need = slots.available_slots() - level
        if need > 0:
            self._taken.append(slots.take(need))

    def _slots(self, level: int) -> PreallocSlots:
        """The slots; raises UnsupportedSettingError for an engine that runs alone."""
        transfers = self._engine.transfers
        if transfers is None:
            raise UnsupportedSettingError(
                f"{self.level_name}={level}: this engine is no part of a disaggregated pair; boot it with "
                'server_args.disaggregation_mode = ["prefill"] or ["decode"], or leave the level at "all"'
            )
        return transfers.slots

    def _give_back(self) -> None:
        taken, self._taken = self._taken, []
        transfers = self._engine.transfers if taken else None
        if transfers is not None:
            slots = transfers.slots
            attempt_all("giving back slots for transfers", [_giving_back(slots, one) for one in taken[::-1]])


def _giving_back(slots: PreallocSlots, taken: Sequence[int]) -> Callable[[], None]:
    return lambda: slots.give_back(taken)


KIND = ExhausterKind(
    level_name=PreallocSlotExhauster.level_name,
    unit="slots",
    scarce="free slots for transfers",
    meaning="how many free slots for transfers are left to the scheduler",
    heading="leave\nslots",
    factory=PreallocSlotExhauster,
    holds=("held_prealloc_slots",),
)
