"""Pool sizes are read from where a release keeps them, for dense and for hybrid models."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from exhausters.engine.sglang.pools import PoolReader, WindowPool
from tests.fakes.fake_engine import FakeEngine


def _sizes(**sizes: int) -> dict[str, Any]:
    return {name: partial(int, value) for name, value in sizes.items()}


def _hybrid(**more: Any) -> Any:
    """A scheduler of a hybrid model; what it tells of both pools together must not be read."""
    return SimpleNamespace(
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


def test_hybrid() -> None:
    """KV tokens are those of the full-attention pool, and the window pool is told beside them."""
    pools = PoolReader(_hybrid())
    assert pools.is_hybrid
    assert (pools.total_tokens, pools.total_rows, pools.free_rows()) == (1000, 9, 8)
    assert (pools.free_tokens(), pools.evictable_tokens(), pools.protected_tokens()) == (600, 300, 100)
    assert pools.window() == WindowPool(free_tokens=50, evictable_tokens=20, protected_tokens=10)


def _fills(t: Any) -> Any:
    pools = PoolReader(t.scheduler)
    found = [(pools.free_tokens(), pools.evictable_tokens(), pools.protected_tokens(), pools.free_rows())]
    t.start_req(rid="a", prompt_len=40, max_new_tokens=3)
    for _ in range(4):
        yield
        found.append(
            (pools.free_tokens(), pools.evictable_tokens(), pools.protected_tokens(), pools.free_rows())
        )
    return found, (pools.total_tokens, pools.total_rows, pools.is_hybrid), pools.window()


def test_dense() -> None:
    """A dense model's pools are followed as a request takes pages and leaves some of them cached."""
    found, totals, window = FakeEngine().run(_fills)
    assert totals == (4096, 64, False)
    assert window == WindowPool()
    assert found[0] == (4096, 0, 0, 64)
    assert found[1] == (4096 - 48, 0, 0, 63)
    assert found[-1] == (4096 - 32, 32, 0, 64)


def test_a_hybrid_scheduler_without_its_sizes_is_refused() -> None:
    """A release that keeps the window pool elsewhere fails at once instead of telling the wrong pool."""
    scheduler = _hybrid()
    del scheduler.token_to_kv_pool_allocator.full_available_size
    with pytest.raises(AttributeError, match="full_available_size"):
        PoolReader(scheduler)
