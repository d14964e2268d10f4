"""A fourth exhauster, as somebody would add one: one class, one kind. Imported in the worker too."""

from __future__ import annotations

from typing import Any, ClassVar

from exhausters.pressure.base import Exhauster
from exhausters.pressure.kind import ExhausterKind


class ChunkBudgetExhauster(Exhauster):
    """Holds part of the scheduler's chunk budget back, so that it prefills fewer tokens per batch."""

    level_name: ClassVar[str] = "leave_budget"

    def __init__(self, engine: Any) -> None:
        super().__init__()
        self._scheduler = engine.native
        self.held_budget = 0

    def _take(self, level: int) -> None:
        surplus = max(0, self._scheduler.chunked_prefill_size - level)
        self._scheduler.chunked_prefill_size -= surplus
        self.held_budget += surplus

    def _give_back(self) -> None:
        self._scheduler.chunked_prefill_size += self.held_budget
        self.held_budget = 0


KIND = ExhausterKind(
    level_name="leave_budget",
    unit="tokens",
    scarce="chunk budget",
    meaning="how many tokens a prefill batch may compute",
    heading="leave\nbudget",
    factory=ChunkBudgetExhauster,
    holds=("held_budget",),
)
