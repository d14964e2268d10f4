"""Pool sizes are read from where a release keeps them, for dense and for hybrid models."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from exhausters.engine.api import PoolSnapshot
from exhausters.engine.sglang.engine import SGLangEngine


def _sizes(**sizes: int) -> dict[str, Any]:
    return {name: partial(int, value) for name, value in sizes.items()}


_IDLE: dict[str, Any] = {"page_size": 16, "last_batch": None, "chunked_req": None}


def _hybrid(**more: Any) -> Any:
    """A scheduler of a hybrid model; what it tells of both pools together must not be read."""
    return SimpleNamespace(
        **_IDLE,
        running_batch=None,
        is_hybrid_swa=True,
        req_to_token_pool=SimpleNamespace(size=9, **_sizes(available_size=8)),
        token_to_kv_pool_allocator=SimpleNamespace(
            size=-1,
            size_full=1000,
            **_sizes(available_size=-1, full_available_size=600, swa_available_size=50),
            **more,
        ),
        tree_cache=SimpleNamespace(
            **_sizes(full_evictable_size=300, full_protected_size=100),
            **_sizes(swa_evictable_size=20, swa_protected_size=10),
        ),
    )


def _dense(*reqs: Any) -> Any:
    """A scheduler of a dense model with a running batch."""
    return SimpleNamespace(
        **_IDLE,
        running_batch=SimpleNamespace(reqs=list(reqs)),
        req_to_token_pool=SimpleNamespace(size=9, **_sizes(available_size=8)),
        token_to_kv_pool_allocator=SimpleNamespace(size=1000, **_sizes(available_size=600)),
        tree_cache=SimpleNamespace(**_sizes(evictable_size=300, protected_size=100)),
    )


def test_hybrid() -> None:
    """KV tokens are those of the full-attention pool, and the window pool is reported beside them."""
    engine = SGLangEngine(_hybrid())
    assert (engine.kv_pool.total_tokens, engine.row_pool.total_rows) == (1000, 9)
    assert engine.snapshot() == PoolSnapshot(
        free_tokens=600,
        evictable_tokens=300,
        protected_tokens=100,
        in_use_tokens=0,
        free_rows=8,
        rows_in_use=0,
        window_free_tokens=50,
        window_evictable_tokens=20,
        window_protected_tokens=10,
    )


@pytest.mark.parametrize("is_on_a_record", [False, True])
def test_dense(is_on_a_record: bool) -> None:
    """A request owns whole pages above what the tree owns, wherever its release keeps the counts."""
    counts = SimpleNamespace(req_pool_idx=1, kv_allocated_len=50, cache_protected_len=32)
    holder = SimpleNamespace(kv=counts) if is_on_a_record else counts
    engine = SGLangEngine(_dense(holder))
    assert (engine.kv_pool.total_tokens, engine.row_pool.total_rows) == (1000, 9)
    assert engine.snapshot() == PoolSnapshot(
        free_tokens=600,
        evictable_tokens=300,
        protected_tokens=100,
        in_use_tokens=32,
        free_rows=8,
        rows_in_use=1,
    )


def test_a_hybrid_scheduler_without_its_sizes_is_refused() -> None:
    """A release that keeps the window pool elsewhere fails at once instead of reporting the wrong pool."""
    scheduler = _hybrid()
    del scheduler.token_to_kv_pool_allocator.full_available_size
    with pytest.raises(AttributeError, match="full_available_size"):
        SGLangEngine(scheduler).snapshot()
