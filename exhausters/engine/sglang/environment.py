"""The environment variables that SGLang reads. Standard library only: the parent imports this file, too."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType

from exhausters.engine.settings import HostSettings

# How SGLang's variables begin; a worker does not inherit them from the caller's shell.
AMBIENT_PREFIXES = ("SGLANG_", "SGL_")

# Withheld pages look like a leak: set to 0 at the start, and to 1 while nothing is withheld.
STRICT_IDLE_CHECK = "SGLANG_ENABLE_STRICT_MEM_CHECK_DURING_IDLE"
TREE_SANITY_CHECK = "SGLANG_ENABLE_TREE_CACHE_SANITY_CHECK"
# Chooses the tree core, where the axis `tree_core` asks for one.
TREE_CORE = "SGLANG_UNIFIED_RADIX_TREE_CORE_BACKEND"

# Set in every worker before SGLang is imported.
VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        # 1 asks for the CPU build of sgl_kernel, which is not needed for a model that computes nothing.
        "SGLANG_USE_CPU_ENGINE": "0",
        "SGLANG_EXTERNAL_MODEL_PACKAGE": "exhausters.engine.sglang.null_models",
        STRICT_IDLE_CHECK: "0",
    }
)


def set_environment(settings: HostSettings) -> None:
    """Set what SGLang reads from the environment; must run before sglang is imported."""
    os.environ.update(VARIABLES)
    if settings.tree_core != "default":
        os.environ[TREE_CORE] = settings.tree_core
    os.environ.update(settings.environment)
