"""Reads how full the pools are, after each step, from whatever this release keeps the numbers in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exhausters.engine.api import PoolSnapshot
from exhausters.engine.sglang.adapter_slots import SGLangAdapterSlots
from exhausters.engine.sglang.holdings import Holders
from exhausters.engine.sglang.host_pool import open_host_pool
from exhausters.engine.sglang.mamba_pool import has_slots, open_mamba_pool
from exhausters.engine.sglang.sessions import kept_by_sessions, slots_of
from exhausters.engine.sglang.transfer_queues import open_queues
from exhausters.engine.sglang.transfers import MetadataSlots
from exhausters.engine.sglang.window_pool import WindowPool, is_hybrid


class PoolReader:
    """KV tokens and request rows of one scheduler; its pools and its cache are there from boot to end."""

    def __init__(
        self, scheduler: Any, holders: Holders, *, adapters: SGLangAdapterSlots | None = None
    ) -> None:
        self._scheduler = scheduler
        self._page_size = int(scheduler.page_size)
        self._holders = holders
        self._adapters = adapters
        allocator, tree = scheduler.token_to_kv_pool_allocator, scheduler.tree_cache
        self._rows = scheduler.req_to_token_pool
        self._window = WindowPool(scheduler, holders) if is_hybrid(scheduler) else None
        self._host = open_host_pool(scheduler)
        self._mamba = open_mamba_pool(scheduler, holders)
        queues = open_queues(scheduler)
        self._prealloc_slots = None if queues is None else MetadataSlots(scheduler, queues)
        prefix = "full_" if self._window else ""
        self._free: Callable[[], Any] = getattr(allocator, f"{prefix}available_size")
        # A tree with parts for recurrent states has one count for each kind of part, too.
        prefix = prefix or ("full_" if has_slots(scheduler) and hasattr(tree, "full_evictable_size") else "")
        self._evictable: Callable[[], Any] = getattr(tree, f"{prefix}evictable_size")
        self._protected: Callable[[], Any] = getattr(tree, f"{prefix}protected_size")

    def snapshot(self) -> PoolSnapshot:
        """How full all pools are now."""
        in_use_tokens, rows_in_use = self._holders.in_use()
        session_tokens, session_rows = self._idle_sessions()
        window_free = window_evictable = window_protected = window_in_use = 0
        if self._window is not None:
            window_free, window_evictable, window_protected = self._window.free_and_cached()
            window_in_use = self._window.in_use(in_use_tokens)
        mamba = self._mamba
        slots = self._prealloc_slots
        return PoolSnapshot(
            free_tokens=int(self._free()),
            evictable_tokens=int(self._evictable()),
            protected_tokens=int(self._protected()),
            in_use_tokens=in_use_tokens,
            free_rows=int(self._rows.available_size()),
            rows_in_use=rows_in_use,
            window_free_tokens=window_free,
            window_evictable_tokens=window_evictable,
            window_protected_tokens=window_protected,
            window_in_use_tokens=window_in_use,
            host_free_tokens=0 if self._host is None else self._host.available_tokens(),
            host_cached_tokens=0 if self._host is None else self._host.cached_tokens(),
            mamba_free_slots=0 if mamba is None else mamba.available_slots(),
            mamba_evictable_slots=0 if mamba is None else mamba.evictable_slots(),
            mamba_protected_slots=0 if mamba is None else mamba.protected_slots(),
            mamba_in_use_slots=0 if mamba is None else mamba.in_use_slots(),
            session_tokens=session_tokens,
            session_rows=session_rows,
            empty_adapter_slots=0 if self._adapters is None else self._adapters.empty_slots(),
            resident_adapters=0 if self._adapters is None else self._adapters.resident_adapters(),
            free_prealloc_slots=0 if slots is None else slots.available_slots(),
            prealloc_slots_in_use=0 if slots is None else slots.in_use_slots(),
        )

    def _idle_sessions(self) -> tuple[int, int]:
        """KV tokens and rows that sessions keep while no turn of theirs runs."""
        if not slots_of(self._scheduler):
            return 0, 0
        page, running = self._page_size, {self._holders.row(req) for req in self._holders.owners()}
        idle = [one for one in kept_by_sessions(self._scheduler) if one.row not in running]
        return sum(-(-one.allocated // page) * page - one.protected for one in idle), len(idle)
