"""Checks after every step that the parts of each pool add up to its total."""

from __future__ import annotations

from dataclasses import dataclass

from exhausters.errors import ConservationError


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolCount:
    """Where every unit of one pool is.

    Attributes:
        pool: `KV tokens` or `request rows`.
        total, free, held, cached, in_use: units; `cached` is evictable and protected together, 0 for rows.
    """

    pool: str
    total: int
    free: int
    held: int
    cached: int
    in_use: int

    @property
    def missing(self) -> int:
        """Units that nobody has (positive: a leak) or that two have (negative: a double free)."""
        return self.total - (self.free + self.held + self.cached + self.in_use)


def check(count: PoolCount, *, step: int) -> None:
    """Raise when a pool does not add up.

    Raises:
        ConservationError: names the step and all numbers.
    """
    if count.missing == 0:
        return
    what = "leaked" if count.missing > 0 else "counted twice (a double free)"
    raise ConservationError(
        f"step {step}: {abs(count.missing)} {count.pool} {what}: free {count.free} + held {count.held} + "
        f"cached {count.cached} + in use {count.in_use} != total {count.total}"
    )
