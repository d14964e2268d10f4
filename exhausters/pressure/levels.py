"""How much of each scarce resource is left: the levels, and the one place that checks them."""

from __future__ import annotations

from dataclasses import dataclass

from exhausters.errors import LevelError

_LEFT = {
    "leave_pages": "how many free KV pages are left to the scheduler",
    "leave_refs": "how many radix nodes stay unlocked, and so evictable",
    "leave_rows": "how many free request rows are left to the scheduler",
}


def check_level(name: str, value: object) -> int:
    """Return `value` when it is a level, refuse it by name when it is not.

    Booleans are refused: `leave_pages=True` is a slip, not one page.

    Raises:
        LevelError: `value` is not an `int`, or is below zero.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        meaning = _LEFT.get(name, "how much is left")
        raise LevelError(f"{name}={value!r}: must be an integer >= 0 ({meaning}; 0 leaves none)")
    return value


@dataclass(frozen=True, kw_only=True)
class PressureLevels:
    """The pressure of one cell. `None` leaves a resource alone.

    Attributes:
        leave_pages: free KV pages left, in pages of the scheduler's own page size.
        leave_refs: unlocked radix nodes left, in nodes.
        leave_rows: free rows of the request-to-token pool left, in rows.
        held: False takes once; True takes again at every step, so that the level stays.

    Raises:
        LevelError: a level that is neither None nor an integer >= 0, or `held` that is no bool.
    """

    leave_pages: int | None = None
    leave_refs: int | None = None
    leave_rows: int | None = None
    held: bool = False

    def __post_init__(self) -> None:
        for name, value in self.given().items():
            check_level(name, value)
        if not isinstance(self.held, bool):
            raise LevelError(f"held={self.held!r}: must be True (take again every step) or False (take once)")

    def given(self) -> dict[str, int]:
        """The levels that are not None, by name."""
        levels = {
            "leave_pages": self.leave_pages,
            "leave_refs": self.leave_refs,
            "leave_rows": self.leave_rows,
        }
        return {name: value for name, value in levels.items() if value is not None}
