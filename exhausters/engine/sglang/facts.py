"""What came up, and whether it is what was asked for where SGLang falls back silently."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

from exhausters.engine.api import BootFacts, SourceFolders
from exhausters.engine.settings import HostSettings
from exhausters.engine.sglang import mamba_pool, window_pool
from exhausters.engine.sglang.adapter_slots import open_adapter_slots
from exhausters.engine.sglang.holdings import Holders
from exhausters.engine.sglang.host_pool import open_host_pool
from exhausters.engine.sglang.source_tree import WATCHED
from exhausters.engine.sglang.transfer_queues import role_of
from exhausters.errors import BootError

_RUST = "rust"


def facts(scheduler: Any) -> BootFacts:
    """Describe what was booted."""
    import platform

    import sglang
    import torch

    tree = scheduler.tree_cache
    core = getattr(tree, "tree_core", None)
    host_pool, adapters = open_host_pool(scheduler), open_adapter_slots(scheduler)
    slots = mamba_pool.open_mamba_pool(scheduler, Holders(scheduler))
    return BootFacts(
        pid=os.getpid(),
        sglang_version=str(getattr(sglang, "__version__", "unknown")),
        python_version=platform.python_version(),
        torch_version=str(torch.__version__),
        tree_cache=type(tree).__name__,
        tree_core=type(core).__name__ if core is not None else "none",
        allocator=type(scheduler.token_to_kv_pool_allocator).__name__,
        page_size=int(scheduler.page_size),
        max_total_tokens=int(scheduler.max_total_num_tokens),
        max_running_requests=int(scheduler.max_running_requests),
        overlap=bool(scheduler.enable_overlap),
        policy=str(scheduler.schedule_policy),
        window_pool_unchecked=why_window_unchecked(scheduler),
        host_total_tokens=0 if host_pool is None else host_pool.total_tokens,
        mamba_total_slots=0 if slots is None else slots.total_slots,
        mamba_slots_unchecked=mamba_pool.why_uncounted(scheduler),
        adapter_slots=0 if adapters is None else adapters.total_slots,
        role=role_of(scheduler),
    )


def why_window_unchecked(scheduler: Any) -> str:
    """Why the window pool of a hybrid model is counted in no step; empty when it is counted in all."""
    return window_pool.why_uncounted(scheduler) if window_pool.is_hybrid(scheduler) else ""


def source_folders() -> SourceFolders:
    """Return where SGLang was imported from."""
    import sglang

    root = Path(inspect.getfile(sglang)).parent.parent
    return SourceFolders(root=str(root), watched=str(root / WATCHED))


def require_rust_core(settings: HostSettings, facts: BootFacts) -> None:
    """Refuse a worker without the Rust tree core when that was asked for.

    SGLang takes its Python core, with a line at log level INFO, where the compiled one is not there: in a
    commit of a clone, of which only `python/` is exported, and in releases that have none.

    Raises:
        BootError: another core runs; names it.
    """
    if settings.tree_core != _RUST or settings.engine.get("disable_radix_cache"):
        return
    core = facts.tree_core
    if _RUST not in core.lower():
        raise BootError(
            f"tree_core={settings.tree_core!r}: SGLang {facts.sglang_version} booted with "
            f"{facts.tree_cache} and core {core!r}; expected its Rust core, which a commit of a clone "
            "does not hold compiled and older releases do not have; ask for python or default, or take a "
            "release that has it"
        )
