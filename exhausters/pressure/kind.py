"""What an exhauster declares about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exhausters.pressure.base import Exhauster

#: Builds an exhauster that acts on an engine.
Factory = Callable[[Any], Exhauster]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExhausterKind:
    """One kind of exhauster; declared in the exhauster's file, listed in `registry.py`.

    Attributes:
        level_name: name of the level, of the grid axis and of the column, e.g. `leave_pages`.
        unit: what the level counts, in the plural, e.g. `pages`.
        scarce: the resource that is held back, e.g. `free KV pages`.
        meaning: what the level says, for error messages: `how many free KV pages are left to the scheduler`.
        heading: heading of the column in a sweep's table; may have line breaks.
        factory: builds the exhauster.
        holds: properties of the exhauster that say how much is held now, for `PressureSet.holdings`.
        rank: exhausters of a lower rank take first; equal ranks take in the order of the registry.
        always_shown: name the level in ids and digests of cells that leave it alone. True for the levels that
            ids have had from the first, False for any that joins: existing cells keep their ids.
    """

    level_name: str
    unit: str
    scarce: str
    meaning: str
    heading: str
    factory: Factory
    holds: tuple[str, ...] = ()
    rank: int = 1
    always_shown: bool = False

    @property
    def short_name(self) -> str:
        """The level's name in ids of cells."""
        return short_name(self.level_name)


def short_name(level_name: str) -> str:
    """Return a level's name in ids of cells: `pages` for `leave_pages`."""
    return level_name.removeprefix("leave_")
