"""Slots of recurrent states are counted in every form in which a release keeps them."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from exhausters.engine.sglang.engine import SGLangEngine
from exhausters.engine.sglang.mamba_pool import why_uncounted
from exhausters.engine.sglang.sessions import Sessions
from exhausters.errors import UnsupportedSettingError


class _Buffer(list[int]):
    """The part of a tensor that is read."""

    def tolist(self) -> list[int]:
        return list(self)


def _on_the_request(**slots: Any) -> Any:
    """As in the oldest releases."""
    lengths = {"kv_allocated_len": 32, "cache_protected_len": 0}
    return SimpleNamespace(req_pool_idx=1, **lengths, **slots)


def _on_its_record(**slots: Any) -> Any:
    """As in the newest."""
    return SimpleNamespace(kv=_on_the_request(**slots))


def _engine(
    *reqs: Any, pool: dict[str, Any] | None = None, tree: dict[str, Any] | None = None
) -> SGLangEngine:
    slots = SimpleNamespace(size=12, available_size=partial(int, 5))
    counts = {"mamba_evictable_size": partial(int, 3), "mamba_protected_size": partial(int, 1)}
    scheduler = SimpleNamespace(
        page_size=1,
        last_batch=None,
        chunked_req=None,
        running_batch=SimpleNamespace(reqs=list(reqs)),
        req_to_token_pool=SimpleNamespace(
            size=9, available_size=partial(int, 8), **({"mamba_pool": slots} if pool is None else pool)
        ),
        token_to_kv_pool_allocator=SimpleNamespace(size=100, available_size=partial(int, 60)),
        tree_cache=SimpleNamespace(
            full_evictable_size=partial(int, 30),
            full_protected_size=partial(int, 10),
            **(counts if tree is None else tree),
        ),
    )
    return SGLangEngine(scheduler)


@pytest.mark.parametrize("form", [_on_the_request, _on_its_record])
@pytest.mark.parametrize(
    ("slots", "in_use"),
    [
        ({"mamba_pool_idx": 4}, 1),
        ({"mamba_pool_idx": None}, 0),
        ({"mamba_pool_idx": 4, "mamba_ping_pong_track_buffer": None}, 1),
        ({"mamba_pool_idx": 4, "mamba_ping_pong_track_buffer": _Buffer([5, 6])}, 3),
        ({"mamba_pool_idx": 4, "mamba_ping_pong_track_buffer": _Buffer([5, -1])}, 2),
        (
            {
                "mamba_pool_idx": 4,
                "mamba_ping_pong_track_buffer": _Buffer([5, 6]),
                "mamba_ping_pong_empty": [True, False],
            },
            2,
        ),
    ],
)
def test_slots_of_requests(form: Any, slots: dict[str, Any], in_use: int) -> None:
    """A request has the slot it computes with and those for checkpoints, without the ones not taken."""
    found = _engine(form(**slots)).snapshot()
    counted = (
        found.mamba_free_slots,
        found.mamba_evictable_slots,
        found.mamba_protected_slots,
        found.mamba_in_use_slots,
    )
    assert counted == (5, 3, 1, in_use)
    assert (found.evictable_tokens, found.protected_tokens) == (30, 10)


def test_an_allocator_of_its_own_is_asked() -> None:
    """New releases count slots in an allocator beside the pool of states."""
    allocator = SimpleNamespace(size=40, available_size=partial(int, 17))
    pool = _engine(pool={"mamba_pool": SimpleNamespace(), "mamba_allocator": allocator}).mamba_pool
    assert pool is not None
    assert (pool.total_slots, pool.available_slots()) == (40, 17)


def test_a_cache_without_counts_keeps_no_state() -> None:
    """Without a radix cache some caches have no such counts: nothing is cached then."""
    found = _engine(tree={"evictable_size": partial(int, 0), "protected_size": partial(int, 0)}).snapshot()
    assert (found.mamba_evictable_slots, found.mamba_protected_slots) == (0, 0)


def test_a_pool_without_a_fixed_size_is_named() -> None:
    """Slots that cannot be counted have no pool, and the run's provenance says why."""
    engine = _engine(pool={"mamba_pool": SimpleNamespace(), "mamba_ckpt_pool": SimpleNamespace()})
    assert engine.mamba_pool is None
    assert "a pool of their own" in why_uncounted(engine.native)
    engine = _engine()
    engine.native.token_to_kv_pool_allocator.mamba_slot_full_token_cost = None
    assert "share one buffer" in why_uncounted(engine.native)


def test_other_models_have_none() -> None:
    """Without linear attention there is no pool, and nothing to note."""
    engine = _engine(pool={})
    assert (engine.mamba_pool, why_uncounted(engine.native)) == (None, "")


def test_a_streaming_session_is_refused() -> None:
    """What a session keeps between two turns is in no count of slots: no such session is opened."""
    engine = _engine()
    engine.native.session_controller = None
    engine.native.server_args = SimpleNamespace(enable_streaming_session=True)
    with pytest.raises(UnsupportedSettingError, match="what it keeps of recurrent states is not counted"):
        Sessions(engine.native, [].append).open("one", is_streaming=True)
