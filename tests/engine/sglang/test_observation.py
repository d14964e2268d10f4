"""What is wrapped of SGLang's scheduler while a run is measured, and what is read of each call."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from exhausters.engine.api import EVICT, FORM_BATCH, PROCESS_RESULT, RETRACT, RUN
from exhausters.engine.sglang.engine import SGLangEngine
from exhausters.engine.sglang.observation import (
    eviction_method,
    tokens_asked,
    tokens_freed,
    window_tokens_freed,
)
from exhausters.errors import SeamError


class _Cache:
    """A tree cache of which only eviction is asked."""

    def evict(self, params: Any) -> Any:
        return SimpleNamespace(num_tokens_evicted=params.num_tokens - 1, swa_num_tokens_evicted=2)


def _req(rid: str, *, allocated: int, protected: int) -> Any:
    return SimpleNamespace(rid=rid, req_pool_idx=1, kv_allocated_len=allocated, cache_protected_len=protected)


def _scheduler() -> Any:
    """A scheduler whose batch retracts its last request; classes of its own, since one of them is wrapped."""

    class Batch:
        reqs = (_req("a", allocated=40, protected=16), _req("b", allocated=50, protected=32))

        def retract_decode(self) -> Any:
            last = self.reqs[-1]
            last.kv_allocated_len = last.cache_protected_len = 0
            return [last], 0.5, ["given up"]

    class Scheduler(SimpleNamespace):
        def get_next_batch_to_run(self) -> None: ...
        def run_batch(self) -> None: ...
        def process_batch_result(self) -> None: ...

    return Scheduler(tree_cache=_Cache(), running_batch=Batch(), page_size=16)


class _SilentCache:
    """A tree cache whose eviction is given a number and returns nothing, as until January 2026."""

    def __init__(self) -> None:
        self.evictable = 100

    def evict(self, num_tokens: int) -> None:
        self.evictable -= num_tokens + 3  # whole nodes

    def evictable_size(self) -> int:
        return self.evictable


class _Listener:
    def __init__(self) -> None:
        self.evictions: list[dict[str, int]] = []
        self.retractions: list[tuple[dict[str, int], int]] = []

    def on_eviction(self, **tokens: int) -> None:
        self.evictions.append(tokens)

    def on_retraction(self, *, own_tokens: Any, aborted: int) -> None:
        self.retractions.append((dict(own_tokens), aborted))


def test_evictions_and_retractions_are_reported() -> None:
    """Each call is reported with its tokens; what a retracted request held is read before it is gone."""
    scheduler, listener = _scheduler(), _Listener()
    stop = SGLangEngine(scheduler).watch(listener)
    scheduler.tree_cache.evict(SimpleNamespace(num_tokens=8))
    scheduler.running_batch.retract_decode()
    stop()
    stop()
    scheduler.tree_cache.evict(SimpleNamespace(num_tokens=8))
    assert listener.evictions == [{"asked_tokens": 8, "freed_tokens": 7, "window_freed_tokens": 2}]
    assert listener.retractions == [({"b": 18}, 1)]
    assert "evict" not in vars(scheduler.tree_cache)


def test_what_cannot_be_watched_leaves_nothing_wrapped() -> None:
    """A release whose batches have no such method is named, and what was wrapped before is taken off."""
    scheduler = _scheduler()
    scheduler.running_batch = object()
    with pytest.raises(SeamError, match="retract_decode"):
        SGLangEngine(scheduler).watch(_Listener())
    assert "evict" not in vars(scheduler.tree_cache)


def test_every_phase_has_its_method() -> None:
    """The phases of a step are methods that are there, and eviction and retraction are among them."""
    scheduler = _scheduler()
    points = SGLangEngine(scheduler).phase_points()
    assert {point.phase for point in points} == {FORM_BATCH, RUN, PROCESS_RESULT, EVICT, RETRACT}
    assert all(callable(getattr(point.owner, point.name)) for point in points)


def test_eviction_method_prefers_the_one_all_go_through() -> None:
    """Caches with `_evict` are observed there, others at `evict`."""

    class Old:
        def evict(self) -> None: ...

    class New(Old):
        def _evict(self) -> None: ...

    assert eviction_method(Old()) == "evict"
    assert eviction_method(New()) == "_evict"


def test_token_counts_of_calls() -> None:
    """Tokens are read from parameters and results; where there are none they are 0."""
    assert tokens_asked(SimpleNamespace(num_tokens=7)) == 7
    assert tokens_asked(7) == 7  # before January 2026 the number itself
    assert tokens_asked(None) == 0
    assert tokens_freed(SimpleNamespace(num_tokens_evicted=9)) == 9
    assert window_tokens_freed(SimpleNamespace(swa_num_tokens_evicted=4)) == 4
    assert window_tokens_freed(SimpleNamespace(num_tokens_evicted=9)) == 0
    assert tokens_freed(None) == 0


def test_an_eviction_that_does_not_say_what_it_freed_is_measured() -> None:
    """Freed tokens are those by which the evictable ones become fewer, where nothing is returned."""
    scheduler, listener = _scheduler(), _Listener()
    scheduler.tree_cache = _SilentCache()
    end = SGLangEngine(scheduler).watch(listener)
    scheduler.tree_cache.evict(16)
    end()
    assert listener.evictions == [{"asked_tokens": 16, "freed_tokens": 19, "window_freed_tokens": 0}]
