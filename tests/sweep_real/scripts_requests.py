"""Scripts with adapters. Run inside the worker."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any


def third_adapter(t: Any) -> Generator[None, None, dict[str, Any]]:
    """Requests of three adapters, without pressure and with two slots left; who has been prefilled when."""
    slots = t.engine.adapter_slots
    before = slots.empty_slots()
    yield from _start(t, "a", "b", "c")
    all_at_once = _prefilled(t)
    yield from _drain(t)
    t.batch_log.clear()
    t.exhaust(leave_lora_slots=2)
    yield from _start(t, "a", "b", "c", "a2")
    groups = [_prefilled(t)]
    yield from _drain(t)
    groups.append(_prefilled(t) - groups[0])
    kept = t.pressure.holdings().held_lora_slots
    t.release_pressure()
    slots.forget()
    return {
        "all at once": all_at_once,
        "with two slots": groups,
        "kept": kept,
        "empty before": before,
        "empty after": slots.total_slots - slots.resident_adapters() + 1,
    }


def _start(t: Any, *rids: str) -> Generator[None, None, None]:
    for rid in rids:
        t.start_req(prompt_len=32, max_new_tokens=6, rid=rid, lora_path=f"adapter-{rid[0]}")
    yield
    yield
    yield


def _prefilled(t: Any) -> set[str]:
    return {rid for rid in ("a", "b", "c", "a2") if t.batch_log.has_run(rid)}


def _drain(t: Any) -> Generator[None, None, None]:
    while not t.is_fully_idle:
        yield
