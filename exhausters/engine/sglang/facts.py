"""What came up, and whether it is what was asked for where SGLang falls back silently."""

from __future__ import annotations

import os
from typing import Any

from exhausters.engine.api import BootFacts
from exhausters.engine.settings import HostSettings
from exhausters.errors import BootError

_RUST = "rust"


def facts(scheduler: Any) -> BootFacts:
    """Describe what was booted."""
    import platform

    import sglang
    import torch

    tree = scheduler.tree_cache
    core = getattr(tree, "tree_core", None)
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
    )


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
