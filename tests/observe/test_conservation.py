"""Each pool is counted to its own total, and the message says which one does not add up."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from exhausters.engine.api import PoolSnapshot
from exhausters.errors import ConservationError
from exhausters.observe.conservation import ConservationCheck
from exhausters.observe.step_record import IDLE
from exhausters.pressure import PressureHoldings

_ADDS_UP = PoolSnapshot(
    free_tokens=500,
    evictable_tokens=200,
    protected_tokens=100,
    in_use_tokens=150,
    free_rows=6,
    rows_in_use=2,
    window_free_tokens=300,
    window_evictable_tokens=60,
    window_protected_tokens=30,
    window_in_use_tokens=60,
    host_free_tokens=100,
    host_cached_tokens=80,
    mamba_free_slots=3,
    mamba_evictable_slots=2,
    mamba_protected_slots=1,
    mamba_in_use_slots=4,
    empty_adapter_slots=1,
    resident_adapters=2,
    free_prealloc_slots=20,
    prealloc_slots_in_use=9,
)


def _check(pools: PoolSnapshot, *, window_total: int | None) -> None:
    kv_pool = SimpleNamespace(total_tokens=1000, window_total_tokens=window_total)
    engine: Any = SimpleNamespace(kv_pool=kv_pool, row_pool=SimpleNamespace(total_rows=8))
    engine.host_pool = SimpleNamespace(total_tokens=200)
    engine.mamba_pool = SimpleNamespace(total_slots=15)
    engine.adapter_slots = SimpleNamespace(total_slots=4)
    engine.transfers = SimpleNamespace(slots=SimpleNamespace(total_slots=32))
    pressure: Any = SimpleNamespace(holdings=lambda: PressureHoldings(held_tokens=50, held_rows=0))
    record: Any = SimpleNamespace(
        step=7,
        mode=IDLE,
        held_tokens=50,
        held_rows=0,
        host_held_tokens=20,
        window_held_tokens=32,
        mamba_held_slots=5,
        held_lora_slots=1,
        held_prealloc_slots=3,
    )
    ConservationCheck(engine, pressure).check(record, pools)


@pytest.mark.parametrize("window_total", [None, 532])
def test_what_adds_up_passes(window_total: int | None) -> None:
    """Nothing is said of pools that add up, with what pressure took from both of a hybrid model's."""
    _check(_ADDS_UP, window_total=window_total)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"window_free_tokens": 299},
            "step 7: 1 window tokens leaked: free 299 + held 82 + cached 90 + in use 60",
        ),
        ({"window_in_use_tokens": 61}, r"step 7: 1 window tokens counted twice .* != total 532"),
        ({"free_tokens": 484}, "step 7: 16 KV tokens leaked"),
        (
            {"mamba_free_slots": 2},
            "step 7: 1 mamba slots leaked: free 2 + held 5 + cached 3 + in use 4 != total 15",
        ),
        ({"rows_in_use": 3}, "step 7: 1 request rows counted twice"),
        ({"prealloc_slots_in_use": 8}, "step 7: 1 prealloc slots leaked: free 20 + held 3"),
        (
            {"host_cached_tokens": 64},
            "step 7: 16 host tokens leaked: free 100 + held 20 + cached 64 + in use 0 != total 200",
        ),
        (
            {"resident_adapters": 1},
            "step 7: 1 adapter slots leaked: free 1 + held 1 + cached 1 + in use 0 != total 4",
        ),
        ({"session_tokens": 16}, r"step 7: 16 KV tokens counted twice .* in use 166 != total 1000"),
        ({"session_rows": 1}, "step 7: 1 request rows counted twice"),
    ],
)
def test_the_pool_is_named(change: dict[str, int], said: str) -> None:
    """The error names the pool, all its numbers, and what pressure holds."""
    with pytest.raises(
        ConservationError, match=f"^{said.replace('+', '[+]')}.*; held by pressure: held_tokens=50$"
    ):
        _check(replace(_ADDS_UP, **change), window_total=532)


def test_a_window_without_a_total_is_not_counted() -> None:
    """Where the window pool has no fixed size, its numbers are recorded and not judged."""
    _check(replace(_ADDS_UP, window_free_tokens=7), window_total=None)
