"""The slots of recurrent states: for each request that runs, and for each state that the tree caches.

In new releases `req_to_token_pool.mamba_allocator` hands slots out, before that `mamba_pool` itself. Which
slots a request has is on the request, or on its KV record: one that it computes with (`mamba_pool_idx`) and,
under the strategies with an extra buffer, one or two that checkpoints are written to
(`mamba_ping_pong_track_buffer`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from exhausters.engine.api import MambaListener
from exhausters.engine.sglang.holdings import Holders, path_on
from exhausters.engine.sglang.observation import eviction_method
from exhausters.engine.wrap import wrap_calls
from exhausters.errors import AllocationShortError, ConservationError

_ALLOCATOR, _POOL = "mamba_allocator", "mamba_pool"
_SLOT, _TRACKED, _EMPTY = "mamba_pool_idx", "mamba_ping_pong_track_buffer", "mamba_ping_pong_empty"
# Of a tracking slot that was not taken yet, or given away.
_NONE = -1


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """Slots taken from the pool; `slots` is its own tensor."""

    slots: Any
    slot_count: int


class SGLangMambaPool:
    """`exhausters.engine.api.MambaPool` over the slot allocator of a scheduler with linear attention."""

    def __init__(self, scheduler: Any, holders: Holders) -> None:
        self._holders = holders
        self._cache = scheduler.tree_cache
        self._pool = _slot_allocator(scheduler)
        # Without a radix cache there is nothing to evict; some caches have no such count then.
        self._evictable: Callable[[], Any] = getattr(self._cache, "mamba_evictable_size", int)
        self._protected: Callable[[], Any] = getattr(self._cache, "mamba_protected_size", int)
        # The first request that holds a slot shows where this release keeps it.
        self._slots_of: Callable[[Any], int] | None = None

    @property
    def total_slots(self) -> int:
        """Slots in all."""
        return int(self._pool.size)

    def available_slots(self) -> int:
        """Free slots."""
        return int(self._pool.available_size())

    def evictable_slots(self) -> int:
        """Slots of states that the tree caches and nothing locks."""
        return int(self._evictable())

    def protected_slots(self) -> int:
        """Slots of states that the tree caches and a request locks."""
        return int(self._protected())

    def in_use_slots(self) -> int:
        """Slots that requests own."""
        slots, read = 0, self._slots_of
        for req in self._holders.owners():
            if read is None:
                read = self._slots_of = slots_reader(req)
            slots += read(req)
        return slots

    def take(self, slots: int) -> object:
        """Take slots; all or nothing."""
        available = self.available_slots()
        taken = self._pool.alloc(slots)
        if taken is None:
            raise AllocationShortError(
                f"wanted {slots} mamba slots, {type(self._pool).__name__} gave none of {available} "
                "available: it reports as available what it cannot allocate",
                wanted_tokens=slots,
                given_tokens=0,
                available_tokens=available,
            )
        return _Taken(taken, len(taken))

    def give_back(self, taking: Any) -> None:
        """Free the slots of one taking."""
        available = self.available_slots()
        if available + taking.slot_count > self.total_slots:
            raise ConservationError(
                f"{available} mamba slots are free and {taking.slot_count} held, of {self.total_slots}: "
                "SGLang's cache was flushed while slots were held; release the pressure before a flush"
            )
        self._pool.free(taking.slots)

    def watch(self, listener: MambaListener) -> Callable[[], None]:
        """Tell `listener` of the states that evictions free."""

        def note_eviction(result: Any, _params: Any) -> None:
            freed = getattr(result, "mamba_num_evicted", 0)
            if freed:
                listener.on_mamba_eviction(int(freed))

        return wrap_calls(self._cache, eviction_method(self._cache), note_eviction)


def open_mamba_pool(scheduler: Any, holders: Holders) -> SGLangMambaPool | None:
    """Return the slots of a scheduler; None for a model without them, and where none can be counted."""
    return (
        SGLangMambaPool(scheduler, holders) if has_slots(scheduler) and not why_uncounted(scheduler) else None
    )


def has_slots(scheduler: Any) -> bool:
    """Whether the model has recurrent states, which take slots."""
    return getattr(scheduler.req_to_token_pool, _POOL, None) is not None


def why_uncounted(scheduler: Any) -> str:
    """Why the slots have no fixed total to count to; empty when they have one, and when there are none."""
    if not has_slots(scheduler):
        return ""
    if getattr(scheduler.req_to_token_pool, "mamba_ckpt_pool", None) is not None:
        return "cached states are in a pool of their own, with eight bits for each number"
    if hasattr(scheduler.token_to_kv_pool_allocator, "mamba_slot_full_token_cost"):
        return "states and KV share one buffer, whose parts have no fixed size"
    return ""


def slots_reader(req: Any) -> Callable[[Any], int]:
    """Return what counts the slots of one request that owns a row.

    Args:
        req: such a request, for the form in which this release keeps them.
    """
    slot: Callable[[Any], Any] = attrgetter(path_on(req, _SLOT))
    tracked = _reader(req, _TRACKED)
    empty = _reader(req, _EMPTY)

    def slots_of(one: Any) -> int:
        own = int(slot(one) is not None)
        buffer = tracked(one)
        if buffer is None:
            return own
        flags = empty(one)
        if flags is not None:
            return own + sum(not flag for flag in flags)
        return own + sum(int(place != _NONE) for place in buffer.tolist())

    return slots_of


def _reader(req: Any, name: str) -> Callable[[Any], Any]:
    path = path_on(req, name)
    if path.startswith("kv.") or hasattr(req, path):
        return attrgetter(path)
    return lambda one: None


def _slot_allocator(scheduler: Any) -> Any:
    pool = scheduler.req_to_token_pool
    allocator = getattr(pool, _ALLOCATOR, None)
    return getattr(pool, _POOL) if allocator is None else allocator
