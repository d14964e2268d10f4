"""Counts to the total after every step: no page and no row may come from nowhere or get lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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


class Holders:
    """Finds what requests hold, by the fields this release keeps it in."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._page_size = int(scheduler.page_size)

    def in_use(self) -> tuple[int, int]:
        """Return (KV tokens, request rows) that requests own, whole pages, without what the tree owns.

        A request owns the pages from `cache_protected_len`, where the tree's part of its prefix ends, to
        `kv_allocated_len` (SGLang's own invariant checker counts the same way).
        """
        page = self._page_size
        tokens = rows = 0
        for req in self._owners():
            allocated = -(-_field(req, "kv_allocated_len") // page) * page
            tokens += allocated - _field(req, "cache_protected_len")
            rows += 1
        return tokens, rows

    def _owners(self) -> Iterator[Any]:
        scheduler = self._scheduler
        running, last, chunked = scheduler.running_batch, scheduler.last_batch, scheduler.chunked_req
        seen: set[int] = set()
        batches = [batch.reqs for batch in (running, last) if batch is not None]
        if len(batches) == 2 and running is last:
            batches.pop()
        for reqs in (*batches, () if chunked is None else (chunked,)):
            for req in reqs:
                if _row_of(req) is not None and id(req) not in seen:
                    seen.add(id(req))
                    yield req


def _field(req: Any, name: str) -> int:
    """A count of a request; kept on the request and, one by one from 0.5.16 on, on its KV record."""
    kv = getattr(req, "kv", None)
    value: int = getattr(kv, name) if hasattr(kv, name) else getattr(req, name)
    return value


def _row_of(req: Any) -> Any:
    """The row a request owns, or None; kept on the request, in newer releases on its KV record."""
    kv = getattr(req, "kv", None)
    if kv is not None and hasattr(kv, "req_pool_idx"):
        return kv.req_pool_idx
    return getattr(req, "req_pool_idx", None)
