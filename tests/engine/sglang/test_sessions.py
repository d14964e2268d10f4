"""What streaming sessions keep, in the forms in which releases keep it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from exhausters.engine.sglang.sessions import Kept, Sessions, kept_by_sessions, slots_of
from exhausters.errors import UnsupportedSettingError

_COUNTS = {"req_pool_idx": 3, "kv_allocated_len": 40, "cache_protected_len": 16}
# Counts on the slot and its node beside them (0.5.13), or on a KV record with a lock (0.5.22).
_ON_SLOT = SimpleNamespace(**_COUNTS, last_node="node")
_ON_RECORD = SimpleNamespace(kv=SimpleNamespace(**_COUNTS), lock=SimpleNamespace(node="node"))
_WITHOUT_ROW = SimpleNamespace(kv=SimpleNamespace(**{**_COUNTS, "req_pool_idx": None}), lock=None)


def _scheduler(slots: dict[str, Any], *, wrapped: bool) -> Any:
    holder = SimpleNamespace(slots=slots)
    return SimpleNamespace(tree_cache=holder if wrapped else SimpleNamespace(session=holder))


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("slot", [_ON_SLOT, _ON_RECORD])
def test_a_slot_is_read_in_either_form(slot: Any, wrapped: bool) -> None:
    """Row, lengths and node come out alike, from a cache with sessions and from one that wraps another."""
    found = kept_by_sessions(_scheduler({"s": slot, "empty": _WITHOUT_ROW}, wrapped=wrapped))
    assert found == [Kept(session_id="s", row=3, allocated=40, protected=16, node="node")]


def test_a_cache_without_sessions_keeps_nothing() -> None:
    """No slots, nothing kept, and nothing raised."""
    scheduler: Any = SimpleNamespace(tree_cache=SimpleNamespace())
    assert (slots_of(scheduler), kept_by_sessions(scheduler)) == (None, [])


def test_a_scheduler_without_sessions_refuses() -> None:
    """Where there is nobody to open a session, the workload is refused by name."""
    with pytest.raises(UnsupportedSettingError, match="session 's': this SGLang has no session_controller"):
        Sessions(SimpleNamespace(), lambda message: None).open("s", is_streaming=False)
