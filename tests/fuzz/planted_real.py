"""Plays scripts like the harness, on a real scheduler that keeps a lock of each running request it aborts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exhausters.fuzz.operations import FuzzScript
from exhausters.fuzz.play import play_all as original


def play_all(t: Any, scripts: Sequence[FuzzScript], chunk_tokens: int) -> Any:
    tree, scheduler, abort = t.scheduler.tree_cache, t.scheduler, t.engine.abort

    def planted(rid: str) -> None:
        for req in scheduler.running_batch.reqs:
            if req.rid == rid:
                tree.inc_lock_ref(req.last_node)
        abort(rid)

    t.engine.abort = planted
    try:
        return (yield from original(t, scripts, chunk_tokens))
    finally:
        del t.engine.abort
