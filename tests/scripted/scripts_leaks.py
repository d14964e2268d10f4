"""Scripts that look for what an earlier script left behind. Run inside the worker."""

from __future__ import annotations

from typing import Any


def state(t: Any) -> dict[str, Any]:
    """The engine as it is now, in plain values; a reset has come before."""
    scheduler = t.scheduler
    tree = scheduler.tree_cache
    return {
        **t.engine_stats(),
        "evictable": 0 if tree.disable else _first(tree.evictable_size()),
        "protected": 0 if tree.disable else _first(tree.protected_size()),
        "nodes": len(t.get_all_node_lock_refs()),
        "waiting": len(scheduler.waiting_queue),
        "active": len(t.list_active_reqs()),
        "paused": bool(scheduler._engine_paused),
        "held": t.pressure.holdings().held_tokens,
        "total": int(scheduler.max_total_num_tokens),
    }


def expect_clean(t: Any) -> dict[str, Any]:
    """Return `state`, after checking that all of both pools is free and nothing is cached or paused."""
    found = state(t)
    # Rows and pages: some releases keep one row or page for padding, hence the engine's own totals.
    assert found["kv_pool_free"] == found["total"] // found["page_size"] * found["page_size"], found
    assert found["req_pool_free"] == found["req_pool_total"], found
    for name in ("evictable", "protected", "nodes", "waiting", "active", "held"):
        assert found[name] == 0, found
    assert not found["paused"], found
    return found


def expect_no_locks(t: Any) -> None:
    """Check, on an idle engine, that no tree node holds a lock and that the pages add up."""
    locks = t.get_all_node_lock_refs()
    assert not any(locks.values()), locks
    found = state(t)
    cached = found["evictable"] + found["protected"]
    assert found["kv_pool_free"] + cached == found["total"], found
    assert found["req_pool_free"] == found["req_pool_total"], found


def _first(size: Any) -> int:
    return int(size[0] if isinstance(size, tuple) else size)
