"""Keeps slots of adapters, so that fewer different ones can be in a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from exhausters.engine.api import AdapterSlots
from exhausters.errors import UnsupportedSettingError
from exhausters.pressure.base import Exhauster, attempt_all
from exhausters.pressure.kind import ExhausterKind


class HasAdapterSlots(Protocol):
    """The part of an engine that is needed here."""

    @property
    def adapter_slots(self) -> AdapterSlots | None:
        """The slots of adapters."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Taken:
    """What was taken in one go."""

    taking: object
    count: int


class AdapterSlotExhauster(Exhauster):
    """Keeps slots that no running request needs, through the engine's own way of keeping an adapter.

    What is in a slot that nobody needs makes room for another adapter, so such a slot is as good as an empty
    one: what counts is how many can be needed at once.
    """

    level_name: ClassVar[str] = "leave_lora_slots"

    def __init__(self, engine: HasAdapterSlots) -> None:
        super().__init__()
        self._engine = engine
        self._taken: list[_Taken] = []

    @property
    def held_lora_slots(self) -> int:
        """Slots kept now."""
        return sum(taken.count for taken in self._taken)

    def _take(self, level: int) -> None:
        slots = self._slots(level)
        need = slots.free_slots() - level
        if need > 0:
            self._taken.append(_Taken(taking=slots.take(need), count=need))

    def _slots(self, level: int) -> AdapterSlots:
        """The slots; raises UnsupportedSettingError where there are none, or the level cannot be taken."""
        slots = self._engine.adapter_slots
        if slots is None:
            raise UnsupportedSettingError(
                f"{self.level_name}={level}: this engine has no slots of adapters; boot it with "
                'server_args.enable_lora = [true], or leave the level at "all"'
            )
        if level < slots.never_taken_slots:
            raise UnsupportedSettingError(
                f"{self.level_name}={level}: the engine lets nobody keep its last slots; expected >= "
                f"{slots.never_taken_slots}"
            )
        return slots

    def _give_back(self) -> None:
        taken, self._taken = self._taken, []
        slots = self._engine.adapter_slots if taken else None
        if slots is not None:
            attempt_all("giving back adapter slots", [_giving_back(slots, one) for one in reversed(taken)])


def _giving_back(slots: AdapterSlots, taken: _Taken) -> Callable[[], None]:
    return lambda: slots.give_back(taken.taking)


KIND = ExhausterKind(
    level_name=AdapterSlotExhauster.level_name,
    unit="slots",
    scarce="slots of LoRA adapters",
    meaning="how many slots of LoRA adapters are left to the scheduler",
    heading="leave\nlora\nslots",
    factory=AdapterSlotExhauster,
    holds=("held_lora_slots",),
)
