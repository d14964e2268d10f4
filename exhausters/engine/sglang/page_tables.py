"""Whether the page tables of living requests lead to pages that are theirs."""

from __future__ import annotations

from typing import Any

from exhausters.engine.api import FREE_PAGE, PADDING_PAGE, WRITTEN_BY_TWO, SlotFault
from exhausters.engine.sglang.holdings import Holders
from exhausters.engine.sglang.window_pool import is_hybrid


class PageTables:
    """The page tables of one scheduler, and the free list of its (full-attention) pool.

    A request writes from `cache_protected_len` on; what is before is the tree's and may be in many tables.
    """

    def __init__(self, scheduler: Any, holders: Holders) -> None:
        self._tables = scheduler.req_to_token_pool
        self._holders = holders
        self._page_size = int(scheduler.page_size)
        allocator = scheduler.token_to_kv_pool_allocator
        self._allocator = allocator.full_attn_allocator if is_hybrid(scheduler) else allocator
        # Page 0 takes what padded tokens write.
        self._pages = int(self._allocator.size) // self._page_size + 1

    def faults(self, batch: Any) -> tuple[SlotFault, ...]:
        """Return what is wrong now; `batch` is the one that is about to run, or None."""
        owners = self._holders.owners()
        if batch is not None:
            known, row = {id(req) for req in owners}, self._holders.row
            owners += [req for req in batch.reqs if id(req) not in known and row(req) is not None]
        if not owners or self._is_sound(owners):
            return ()
        return self._judge(owners)

    def _is_sound(self, owners: list[Any]) -> bool:
        """Whether nothing is wrong, by numpy and without a look at single places: it runs every few steps."""
        import numpy

        page, found = self._page_size, numpy.array(self._holders.places(owners))
        ends = -(-found[:, 1:] // page)
        rows, allocated, shared = found[:, 0], ends[:, :1], ends[:, 1:]
        # One slot tells its page.
        table = self._tables.req_to_token.numpy()[rows, : int(allocated.max()) * page : page]
        if page > 1:
            table = table // page
        places = numpy.arange(table.shape[1])
        is_used, is_own = places < allocated, places >= shared
        of_requests, of_tree = table[is_used & is_own], table[is_used & ~is_own]
        writers = numpy.bincount(of_requests, minlength=self._pages)
        is_wrong = self._is_free()
        is_wrong[0] = True
        if is_wrong[of_requests].any() or (len(of_requests) and writers.max() > 1):
            return False
        is_wrong |= writers > 0
        return not is_wrong[of_tree].any()

    def _judge(self, owners: list[Any]) -> tuple[SlotFault, ...]:
        import torch

        page = self._page_size
        lengths = [self._holders.lengths(req) for req in owners]
        used = torch.tensor([-(-allocated // page) for allocated, _ in lengths]).unsqueeze(1)
        shared = torch.tensor([-(-protected // page) for _, protected in lengths]).unsqueeze(1)
        rows = torch.tensor([self._holders.row(req) for req in owners])
        # One slot tells its page.
        table = self._tables.req_to_token[rows, : int(used.max()) * page : page].long() // page
        places = torch.arange(table.shape[1])
        is_used = places < used
        is_own = is_used & (places >= shared)
        free = torch.from_numpy(self._is_free())
        writers = torch.bincount(table[is_own], minlength=self._pages)
        is_free = is_used & free[table]
        # The page of an own place counts itself.
        is_twice = is_used & (writers[table] > is_own)
        is_padding = is_used & (table == 0)
        if not bool((is_free | is_twice | is_padding).any()):
            return ()
        found = [(FREE_PAGE, is_free), (PADDING_PAGE, is_padding), (WRITTEN_BY_TWO, is_twice & ~is_padding)]
        return tuple(
            self._fault(kind, owners, table, is_used, request, place)
            for kind, mask in found
            for request, place in mask.nonzero().tolist()
        )

    def _is_free(self) -> Any:
        """Of every page, whether it is in the free list; an array of bool."""
        import numpy

        free = numpy.zeros(self._pages, dtype=bool)
        for name in ("free_pages", "release_pages"):
            pages = getattr(self._allocator, name, None)
            if pages is not None:
                free[pages.numpy()] = True
        return free

    def _fault(
        self, kind: str, owners: list[Any], table: Any, is_used: Any, request: int, place: int
    ) -> SlotFault:
        page, other = int(table[request, place]), ""
        if kind == WRITTEN_BY_TWO:
            holders = ((table == page) & is_used).any(1).nonzero().flatten().tolist()
            # Its own table may have the page twice.
            other = str(owners[next((one for one in holders if one != request), request)].rid)
        return SlotFault(
            kind=kind,
            rid=str(owners[request].rid),
            position=place * self._page_size,
            page=page,
            other_rid=other,
        )
