"""The window pool of a hybrid model adds up in every form in which a release keeps its counts."""

from __future__ import annotations

from enum import Enum
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from exhausters.engine.sglang.engine import SGLangEngine
from exhausters.engine.sglang.facts import why_window_unchecked


class Component(Enum):
    """As SGLang's: other components move their own windows."""

    FULL = 0
    SWA = 1
    AUXILIARY_SWA = 4


def _plain(**lengths: int) -> Any:
    return SimpleNamespace(req_pool_idx=1, **lengths)


def on_the_request(**lengths: int) -> Any:
    """As in the oldest releases: all lengths on the request itself."""
    return _plain(**lengths)


def on_its_record(**lengths: int) -> Any:
    """As in the middle ones: the window's position on a KV record, the rest on the request."""
    moved = {name: lengths.pop(name) for name in ("kv_allocated_len", "swa_evicted_seqlen")}
    return SimpleNamespace(kv=SimpleNamespace(**moved), **vars(_plain(**lengths)))


def by_component(**lengths: int) -> Any:
    """As in the newest: everything on the record, one position per component of the cache."""
    position = lengths.pop("swa_evicted_seqlen")
    positions = {Component.AUXILIARY_SWA: 999, **({Component.SWA: position} if position else {})}
    return SimpleNamespace(kv=SimpleNamespace(**vars(_plain(**lengths)), component_evicted_seqlens=positions))


def _sizes(**sizes: int) -> dict[str, Any]:
    return {name: partial(int, value) for name, value in sizes.items()}


def _engine(*reqs: Any, transient: int | None = None, **allocator: Any) -> SGLangEngine:
    more = {} if transient is None else {"swa_transient_size": transient}
    scheduler = SimpleNamespace(
        page_size=16,
        last_batch=None,
        chunked_req=None,
        running_batch=SimpleNamespace(reqs=list(reqs)),
        is_hybrid_swa=True,
        req_to_token_pool=SimpleNamespace(size=9, **_sizes(available_size=8)),
        token_to_kv_pool_allocator=SimpleNamespace(
            size_full=1000, size_swa=80, **_sizes(full_available_size=600, swa_available_size=50), **allocator
        ),
        tree_cache=SimpleNamespace(
            **_sizes(full_evictable_size=300, full_protected_size=100),
            **_sizes(swa_evictable_size=20, swa_protected_size=10, **more),
        ),
    )
    return SGLangEngine(scheduler)


@pytest.mark.parametrize("form", [on_the_request, on_its_record, by_component])
@pytest.mark.parametrize(
    ("position", "in_use"),
    [(0, 176), (32, 176), (96, 112)],
    ids=["not moved yet", "still inside what the tree owns", "moved on"],
)
def test_given_back_tokens_are_not_in_use(form: Any, position: int, in_use: int) -> None:
    """A request owns its whole pages above the tree's part, without those that its window has left."""
    req = form(kv_allocated_len=200, cache_protected_len=32, swa_evicted_seqlen=position)
    found = _engine(req).snapshot()
    assert (found.in_use_tokens, found.window_in_use_tokens) == (176, in_use)


@pytest.mark.parametrize("form", [on_the_request, on_its_record, by_component])
def test_a_shielded_prompt_is_kept(form: Any) -> None:
    """The part of a prompt that a release shields from the window stays in use, in whole pages."""
    lengths = {"kv_allocated_len": 200, "cache_protected_len": 32, "swa_evicted_seqlen": 96}
    req = form(**lengths, swa_evict_floor=70)
    assert _engine(req).snapshot().window_in_use_tokens == 176 - (96 - 80)


def test_what_the_cache_holds_in_passing_is_in_use() -> None:
    """Window slots of a cache that streams between host and device are not reported as lost."""
    assert _engine(transient=48).snapshot().window_in_use_tokens == 48
    assert _engine().snapshot().window_in_use_tokens == 0


@pytest.mark.parametrize(
    ("allocator", "total", "said"),
    [
        ({}, 80, ""),
        ({"swa_req_ring": True}, None, "ring"),
        ({"swa_attn_allocator": SimpleNamespace(alloc_with_virtual=None)}, None, "one buffer"),
    ],
    ids=["fixed size", "rings", "shared buffer"],
)
def test_a_pool_without_a_fixed_size_is_named(allocator: Any, total: int | None, said: str) -> None:
    """A window pool that cannot be counted has no total, and the run's provenance says why."""
    engine = _engine(**allocator)
    reason = why_window_unchecked(engine.native)
    assert engine.kv_pool.window_total_tokens == total
    assert bool(reason) is bool(said)
    assert said in reason


def test_a_dense_model_has_none() -> None:
    """Without a window pool there is no total, and nothing to note."""
    engine = _engine()
    engine.native.is_hybrid_swa = False
    assert (engine.kv_pool.window_total_tokens, why_window_unchecked(engine.native)) == (None, "")
