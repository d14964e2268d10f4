"""Takes free KV pages away from the scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from exhausters.errors import AllocationShortError, ConservationError
from exhausters.pressure.base import Exhauster, attempt_all
from exhausters.pressure.kind import ExhausterKind, check_level


class KvAllocator(Protocol):
    """The part of SGLang's token-to-KV-pool allocators that is needed here; sizes in tokens."""

    def available_size(self) -> int:
        """Free tokens, whole pages."""
        ...

    def alloc(self, need_size: int, /) -> Any:
        """A tensor of `need_size` slots, or None."""
        ...

    def free(self, free_index: Any, /) -> Any:
        """Take back slots that `alloc` gave."""
        ...


class KvScheduler(Protocol):
    """The part of the scheduler that is needed here."""

    token_to_kv_pool_allocator: Any
    page_size: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Taken:
    """Token slots taken from one allocator in one go; `slots` is the allocator's own tensor."""

    allocator: KvAllocator
    slots: Any
    count_tokens: int


class ScriptedKvPoolExhauster(Exhauster):
    """Holds free KV pages back through the allocator's own `alloc` and `free`.

    Acts on free pages only: pages of the radix cache stay evictable, and what the scheduler evicts
    becomes free again (held mode takes it at the next step). Slots come back to the same
    allocator, newest first; their order inside its free list is the allocator's business.

    A hybrid sliding-window allocator reports the smaller of its two pools as available, and the same
    number of tokens is taken from both, so that the smaller one is left with `leave_pages`. From page
    size 2 on its own `alloc` refuses plain requests; the two pools inside it are then asked directly.

    Release before SGLang flushes its cache: a flush hands out every slot anew, the held ones included.
    """

    level_name: ClassVar[str] = "leave_pages"

    def __init__(self, scheduler: KvScheduler) -> None:
        super().__init__()
        self.scheduler = scheduler
        self._taken: list[_Taken] = []

    @property
    def held_tokens(self) -> int:
        """Token slots held back now; a hybrid allocator's pair of slots counts once."""
        per_pool: dict[int, int] = {}
        for taken in self._taken:
            key = id(taken.allocator)
            per_pool[key] = per_pool.get(key, 0) + taken.count_tokens
        return max(per_pool.values(), default=0)

    @property
    def held_pages(self) -> int:
        """Pages held back now, of the scheduler's page size."""
        return self.held_tokens // self.scheduler.page_size

    def exhaust(self, *, leave_pages: int) -> None:
        """Take free pages until `leave_pages` are left; nothing when no more are free.

        May be called again, with any level; earlier takings stay.

        Raises:
            LevelError: `leave_pages` is not an integer >= 0.
            AllocationShortError: the allocator gave less than it reported; it got that back.
        """
        self._take(check_level(self.level_name, leave_pages))

    def _take(self, level: int) -> None:
        allocator = self.scheduler.token_to_kv_pool_allocator
        page_size = self.scheduler.page_size
        available = allocator.available_size()
        need = available - level * page_size
        # Paged allocators hand out whole pages and count whole pages; a remainder would be lost.
        need -= need % page_size
        if need <= 0:
            return
        pools = _pools_to_ask(allocator, page_size)
        taken_now: list[_Taken] = []
        for pool in pools:
            slots = pool.alloc(need)
            given = 0 if slots is None else len(slots)
            if given:
                taken_now.append(_Taken(allocator=pool, slots=slots, count_tokens=given))
            if given != need:
                attempt_all("giving back a short allocation", [_freeing(t) for t in reversed(taken_now)])
                raise AllocationShortError(
                    f"wanted {need} tokens, {type(pool).__name__} gave {given} of {available} available: "
                    "it reports as available what it cannot allocate",
                    wanted_tokens=need,
                    given_tokens=given,
                    available_tokens=available,
                )
        self._taken.extend(taken_now)

    def _give_back(self) -> None:
        taken, self._taken = self._taken, []
        attempt_all("giving back KV pages", [_freeing(one) for one in reversed(taken)])


KIND = ExhausterKind(
    level_name=ScriptedKvPoolExhauster.level_name,
    unit="pages",
    scarce="free KV pages",
    meaning="how many free KV pages are left to the scheduler",
    heading="leave\npages",
    factory=lambda engine, _submitted_prompts: ScriptedKvPoolExhauster(engine),
    holds=("held_tokens", "held_pages"),
    always_shown=True,
)


def _pools_to_ask(allocator: Any, page_size: int) -> list[KvAllocator]:
    """The allocators to take from: the given one, or the two inside a paged hybrid one.

    SGLang's hybrid sliding-window allocator asserts a page size of 1 in `alloc`. The variant over
    one shared buffer serves any page size itself; its inner pools cannot be asked one by one,
    which shows in `alloc_with_virtual`.
    """
    full = getattr(allocator, "full_attn_allocator", None)
    window = getattr(allocator, "swa_attn_allocator", None)
    if page_size == 1 or full is None or window is None or full is window:
        return [allocator]
    if hasattr(window, "alloc_with_virtual"):
        return [allocator]
    return [full, window]


def _freeing(taken: _Taken) -> Any:
    def free() -> None:
        _refuse_double_free(taken)
        taken.allocator.free(taken.slots)

    return free


def _refuse_double_free(taken: _Taken) -> None:
    """Raise when the slots are free already, because a flush reset the allocator meanwhile.

    Only plain allocators are checked: they have a free list and a size of their own.
    """
    size = getattr(taken.allocator, "size", None)
    if getattr(taken.allocator, "free_pages", None) is None or not isinstance(size, int):
        return
    available = taken.allocator.available_size()
    if available + taken.count_tokens > size:
        raise ConservationError(
            f"{available} tokens are free and {taken.count_tokens} held, of {size}: SGLang's cache was "
            "flushed while pages were held; release the pressure before a flush"
        )
