"""Whether the scheduler that came up is the one that was asked for, where SGLang falls back silently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exhausters.errors import BootError
from exhausters.worker.protocol import HostSettings

_RUST = "rust"


def require_rust_core(settings: HostSettings, facts: Mapping[str, Any]) -> None:
    """Refuse a worker without the Rust tree core when that was asked for.

    SGLang takes its Python core, with a line at log level INFO, where the compiled one is not there: in a
    commit of a clone, of which only `python/` is exported, and in releases that have none.

    Raises:
        BootError: another core runs; names it.
    """
    if settings.tree_core != _RUST or settings.engine.get("disable_radix_cache"):
        return
    core = str(facts["tree_core"])
    if _RUST not in core.lower():
        raise BootError(
            f"tree_core={settings.tree_core!r}: SGLang {facts['sglang_version']} came up with "
            f"{facts['tree_cache']} and core {core!r}; expected its Rust core, which a commit of a clone "
            "does not hold compiled and older releases do not have; ask for python or default, or take a "
            "release that has it"
        )
