"""Scripts on an engine with HiCache. Run inside the worker."""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

from exhausters.errors import PressureError
from exhausters.sweep.drain import run_cell

_COPY = "transfer_kv_direct"


def without_copies(t: Any, *arguments: Any) -> Generator[None, None, Any]:
    """Run a cell while copies between the tiers copy nothing, and report success."""
    modules = [one for name, one in sys.modules.items() if name.startswith("sglang.") and hasattr(one, _COPY)]
    originals = [(one, getattr(one, _COPY)) for one in modules]
    try:
        for one in modules:
            setattr(one, _COPY, lambda *_arguments, **_keywords: None)
        return (yield from run_cell(t, *arguments))
    finally:
        for one, original in originals:
            setattr(one, _COPY, original)


def with_a_lost_page(t: Any, *arguments: Any) -> Generator[None, None, Any]:
    """Run a cell while a page of the host is taken and nobody says so."""
    taking = t.engine.host_pool.take(16)
    try:
        return (yield from run_cell(t, *arguments))
    finally:
        t.engine.host_pool.give_back(taking)


def flushed_while_held(t: Any) -> Generator[None, None, str]:
    """Flush the cache while host pages are held, then give them back; return what that says."""
    t.exhaust(leave_host_pages=1)
    t.flush_cache()
    yield
    try:
        t.pressure.release()
    except PressureError as error:
        return str(error)
    return "nothing"


def nothing_left(t: Any, prompts: int, tokens: int) -> Generator[None, None, dict[str, Any]]:
    """Prompts that do not fit on the device, twice, with no page left on the host from the first step on."""
    pool = t.engine.host_pool
    heard = _Heard()
    stop = pool.watch(heard)
    try:
        t.exhaust(leave_host_pages=0, held=True)
        for turn in range(2):
            for index in range(prompts):
                one = t.start_req(prompt_len=tokens, max_new_tokens=2, prompt_token=20 + index)
                for _ in range(64):
                    if one.finished:
                        break
                    yield
                assert one.finished, (turn, index)
        while not t.is_fully_idle:
            yield
        held = t.pressure.holdings().held_host_tokens
        t.release_pressure()
    finally:
        stop()
    return {
        "held": held,
        "moved": (heard.backed_up, heard.loaded_back),
        "free": (pool.available_tokens(), pool.total_tokens),
    }


class _Heard:
    backed_up = loaded_back = evicted = 0

    def on_backup(self, tokens: int) -> None:
        self.backed_up += tokens

    def on_load_back(self, tokens: int) -> None:
        self.loaded_back += tokens

    def on_host_eviction(self, tokens: int) -> None:
        self.evicted += tokens
