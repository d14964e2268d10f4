"""What requests hold of the pools, by the fields in which a release keeps it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from exhausters.engine.sglang.requests import iter_requests
from exhausters.engine.sglang.transfer_queues import open_queues


class Holders:
    """Adds up the KV tokens and rows that requests own."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._page_size = int(scheduler.page_size)
        self._queues = open_queues(scheduler)
        # Made when the loop of a stage begins.
        self._is_pipelined = hasattr(scheduler, "running_mbs")
        # Readers of a request's row, and of its (allocated, protected) lengths; the first request that holds
        # anything shows where this release keeps them.
        self._keeps_freed_row = _keeps_freed_row(getattr(scheduler, "req_to_token_pool", None))
        self._row: Callable[[Any], Any] = _row_unless_freed if self._keeps_freed_row else _row_of
        self._lengths: Callable[[Any], tuple[int, int]] | None = None

    def in_use(self) -> tuple[int, int]:
        """Return (KV tokens, request rows) that requests own, whole pages, without what the tree owns.

        A request owns the pages from `cache_protected_len`, where the tree's part of its prefix ends, to
        `kv_allocated_len` (SGLang's own invariant checker counts the same way).
        """
        page, row, lengths = self._page_size, self._row, self._lengths
        tokens = rows = 0
        for req in self._candidates():
            if row(req) is None:
                continue
            if lengths is None:
                self._row = row if self._keeps_freed_row else _row_reader(req)
                row, lengths = self._row, _lengths_reader(req)
                self._lengths = lengths
            allocated, protected = lengths(req)
            tokens += -(-allocated // page) * page - protected
            rows += 1
        return tokens, rows

    def owners(self) -> list[Any]:
        """Every request that owns a row, once."""
        row = self._row
        return [req for req in self._candidates() if row(req) is not None]

    def row(self, req: Any) -> int | None:
        """The row that a request owns."""
        found: int | None = self._row(req)
        return found

    def lengths(self, req: Any) -> tuple[int, int]:
        """Tokens of an owner that have a place, and those at their head that the tree owns."""
        allocated, protected = (self._lengths or _lengths_reader(req))(req)
        return int(allocated), int(protected)

    def places(self, owners: Sequence[Any]) -> list[tuple[int, int, int]]:
        """Return row, allocated and protected tokens of owners, at least one: `row` and `lengths` of many."""
        row, lengths = self._row, self._lengths or _lengths_reader(owners[0])
        return [(row(req), *lengths(req)) for req in owners]

    def own_tokens(self, req: Any) -> int:
        """KV tokens of one request that the tree does not own; 0 when it holds nothing."""
        if self._row(req) is None:
            return 0
        allocated, protected = (self._lengths or _lengths_reader(req))(req)
        return int(allocated - protected)

    def cached_prefixes(self) -> dict[str, tuple[int, object | None]]:
        """Tokens of each owner that the tree owns, and the node, or its number, at which they end."""
        found: dict[str, tuple[int, object | None]] = {}
        for req in self.owners():
            found[str(req.rid)] = self.lengths(req)[1], getattr(req, "last_node", None)
        return found

    def _candidates(self) -> Sequence[Any]:
        """Every request that may hold something, once."""
        scheduler = self._scheduler
        running, last, chunked = scheduler.running_batch, scheduler.last_batch, scheduler.chunked_req
        if self._is_pipelined:
            return list({id(req): req for req in iter_requests(scheduler)}.values())
        queued = () if self._queues is None else tuple(self._queues.holders())
        if chunked is None and not queued and (last is None or last is running or not last.reqs):
            found: Sequence[Any] = running.reqs if running is not None else ()
            return found
        reqs = [] if running is None else list(running.reqs)
        if last is not None and last is not running:
            reqs += last.reqs
        if chunked is not None:
            reqs.append(chunked)
        reqs += queued
        return list({id(req): req for req in reqs}.values())


def _row_of(req: Any) -> Any:
    """The row a request owns, or None; kept on the request, in newer releases on its KV record."""
    return _row_reader(req)(req)


def _keeps_freed_row(pool: Any) -> bool:
    """Whether a request goes on naming its row when it is freed: older pools are given the number alone."""
    free = getattr(pool, "free", None)
    return free is not None and "free_index" in inspect.signature(free).parameters


def _row_unless_freed(req: Any) -> Any:
    """The row a request owns, where it names also one that it gave back as it finished or was retracted."""
    return req.req_pool_idx if req.kv_allocated_len and not req.kv_committed_freed else None


def _row_reader(req: Any) -> Callable[[Any], Any]:
    return attrgetter(path_on(req, "req_pool_idx"))


def _lengths_reader(req: Any) -> Callable[[Any], tuple[int, int]]:
    """Counts of a request; kept on the request and, one by one from 0.5.16 on, on its KV record."""
    return attrgetter(path_on(req, "kv_allocated_len"), path_on(req, "cache_protected_len"))


def path_on(req: Any, name: str) -> str:
    """Where a request keeps `name`: on its KV record, or on itself."""
    return f"kv.{name}" if hasattr(getattr(req, "kv", None), name) else name
