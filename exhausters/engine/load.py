"""Find the parts of an engine by its name: nothing outside an engine's own package imports it directly."""

from __future__ import annotations

import importlib
from typing import cast

from exhausters.engine.api import Boot

SGLANG = "sglang"


def load_boot(engine: str) -> Boot:
    """Import `exhausters.engine.ENGINE.boot`; raises ImportError when there is no such engine."""
    return cast("Boot", importlib.import_module(f"exhausters.engine.{engine}.boot"))


def ambient_prefixes() -> tuple[str, ...]:
    """How the variables begin that SGLang reads: a worker does not inherit them from the caller's shell."""
    prefixes: tuple[str, ...] = importlib.import_module(
        f"exhausters.engine.{SGLANG}.environment"
    ).AMBIENT_PREFIXES
    return prefixes
