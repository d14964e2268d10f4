"""What an exhauster declares about itself, and the one check of a level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exhausters.errors import LevelError

if TYPE_CHECKING:
    from exhausters.pressure.base import Exhauster

#: How grids, tables and results write that a resource is left alone.
ALL = "all"

#: Builds an exhauster that acts on an engine.
Factory = Callable[[Any], "Exhauster"]


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
        """The level's name in ids of cells: `pages` for `leave_pages`."""
        return self.level_name.removeprefix("leave_")


def check_level(name: str, value: object, *, meaning: str = "how much is left") -> int:
    """Return `value` when it is a level, refuse it by name when it is not.

    Booleans are refused: `leave_pages=True` is a slip, not one page.

    Args:
        name: the level's name, for the message.
        value: what was given.
        meaning: what the level says, for the message.

    Raises:
        LevelError: `value` is not an `int`, or is below zero.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise LevelError(f"{name}={value!r}: must be an integer >= 0 ({meaning}; 0 leaves none)")
    return value
