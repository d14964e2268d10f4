"""Values of a level, and the one check of them."""

from __future__ import annotations

from exhausters.errors import LevelError

#: How grids, tables and results write that a resource is left alone.
ALL = "all"


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
