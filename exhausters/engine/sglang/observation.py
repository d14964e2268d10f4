"""The methods of the scheduler that are wrapped while a run is measured."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from exhausters.engine.api import (
    DECODE_ROLE,
    EVICT,
    FORM_BATCH,
    MATCH,
    PREFILL_ROLE,
    PROCESS_RESULT,
    RETRACT,
    RUN,
    EngineListener,
    MethodPoint,
)
from exhausters.engine.sglang import preemption, window_pool
from exhausters.engine.sglang.holdings import Holders
from exhausters.engine.sglang.transfer_queues import role_of
from exhausters.engine.wrap import wrap_calls

# The scheduler's own methods, stable from 0.5.6 to 0.5.23.
_SCHEDULER_METHODS = {"run_batch": RUN, "process_batch_result": PROCESS_RESULT}
# What forms a batch in the event loop of each role; of a pair's loops the first that a release has.
_FORM_BATCH: Mapping[str, tuple[str, ...]] = {
    "": ("get_next_batch_to_run",),
    PREFILL_ROLE: ("get_next_disagg_prefill_batch_to_run", "get_new_batch_prefill"),
    DECODE_ROLE: ("get_next_disagg_decode_batch_to_run",),
}


def phase_points(scheduler: Any) -> tuple[MethodPoint, ...]:
    """The methods that are phases of a step."""
    names = _FORM_BATCH[role_of(scheduler)]
    forming = next((name for name in names if hasattr(scheduler, name)), names[0])
    methods = [
        MethodPoint(owner=scheduler, name=name, phase=phase)
        for name, phase in {forming: FORM_BATCH, **_SCHEDULER_METHODS}.items()
    ]
    return (*methods, _eviction_point(scheduler), _retraction_point(scheduler))


def matching_point(scheduler: Any) -> MethodPoint:
    """The method that looks a prompt up in the tree cache."""
    return MethodPoint(owner=scheduler.tree_cache, name="match_prefix", phase=MATCH)


def watch(scheduler: Any, holders: Holders, listener: EngineListener) -> Callable[[], None]:
    """Tell `listener` of evictions and retractions; see `Engine.watch`.

    What runs here runs inside the counted phases, where C functions called from the harness's code are
    counted: the same calls at every eviction and retraction, and no record is made.
    """
    own_tokens: dict[str, int] = {}
    eviction, retraction = _eviction_point(scheduler), _retraction_point(scheduler)
    told = None if _says_what_it_freed(eviction) else EvictableBefore(scheduler)

    def note_eviction(result: Any, params: Any) -> None:
        freed, window_freed = (
            (tokens_freed(result), window_tokens_freed(result)) if told is None else told.freed()
        )
        listener.on_eviction(
            asked_tokens=tokens_asked(params), freed_tokens=freed, window_freed_tokens=window_freed
        )

    def note_holdings(batch: Any) -> None:
        # Before the call: afterwards the retracted requests hold nothing any more.
        nonlocal own_tokens
        own_tokens = {req.rid: holders.own_tokens(req) for req in batch.reqs}

    def note_retraction(result: Any, _batch: Any) -> None:
        # (retracted requests, new estimate of the token ratio, requests to abort) in every release.
        listener.on_retraction(
            own_tokens={req.rid: own_tokens.get(req.rid, 0) for req in result[0]}, aborted=len(result[2])
        )

    before = None if told is None else told.note
    with ExitStack() as wrappers:
        if preemption.is_on(scheduler):
            wrappers.callback(preemption.watch(scheduler, holders, listener))
        wrappers.callback(wrap_calls(eviction.owner, eviction.name, note_eviction, before))
        wrappers.callback(wrap_calls(retraction.owner, retraction.name, note_retraction, note_holdings))
        return wrappers.pop_all().close


def _eviction_point(scheduler: Any) -> MethodPoint:
    tree = scheduler.tree_cache
    return MethodPoint(owner=tree, name=eviction_method(tree), phase=EVICT)


def _retraction_point(scheduler: Any) -> MethodPoint:
    # On the class: every batch of the run is a new object. The running batch is there from boot on.
    return MethodPoint(owner=type(scheduler.running_batch), name="retract_decode", phase=RETRACT)


def eviction_method(tree_cache: Any) -> str:
    """Name of the one method through which all evictions of this cache go.

    Releases from 0.5.19 on have several public entries that meet in `_evict`; before, there is `evict`.
    """
    return "_evict" if hasattr(tree_cache, "_evict") else "evict"


class EvictableBefore:
    """What evictions free where they do not say it: by how much the evictable tokens become fewer."""

    def __init__(self, scheduler: Any) -> None:
        tree, is_hybrid = scheduler.tree_cache, window_pool.is_hybrid(scheduler)
        self._sizes: list[Callable[[], Any]] = [
            tree.full_evictable_size if is_hybrid else tree.evictable_size,
            *([tree.swa_evictable_size] if is_hybrid else ()),
        ]
        self._before: list[int] = []

    def note(self, _params: Any) -> None:
        """An eviction begins."""
        self._before = [int(size()) for size in self._sizes]

    def freed(self) -> tuple[int, int]:
        """Return the full-attention tokens and the window tokens that it has freed."""
        freed = [before - int(size()) for before, size in zip(self._before, self._sizes, strict=True)]
        return freed[0], freed[1] if len(freed) > 1 else 0


def _says_what_it_freed(eviction: MethodPoint) -> bool:
    """Whether an eviction returns what it freed: since January 2026, when it began to take a record."""
    # Of the class: on the object there may be a wrapper.
    method = getattr(type(eviction.owner), eviction.name, None) or getattr(eviction.owner, eviction.name)
    asked = inspect.signature(method).parameters
    return not any(name.endswith("num_tokens") for name in asked)


def tokens_asked(params: Any) -> int:
    """Full-attention tokens that an eviction was asked for: a record has them, at first it was the number."""
    return int(params if isinstance(params, int) else getattr(params, "num_tokens", 0) or 0)


def tokens_freed(result: Any) -> int:
    """Full-attention tokens that an eviction freed."""
    return int(getattr(result, "num_tokens_evicted", 0) or 0)


def window_tokens_freed(result: Any) -> int:
    """Sliding-window tokens that an eviction freed."""
    return int(getattr(result, "swa_num_tokens_evicted", 0) or 0)
