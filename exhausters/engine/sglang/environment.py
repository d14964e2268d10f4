"""The environment variables that SGLang reads. Standard library only: the parent imports this file, too."""

from __future__ import annotations

import os

from exhausters.engine.settings import HostSettings

# How SGLang's variables begin; a worker does not inherit them from the caller's shell.
AMBIENT_PREFIXES = ("SGLANG_", "SGL_")

STRICT_IDLE_CHECK = "SGLANG_ENABLE_STRICT_MEM_CHECK_DURING_IDLE"
TREE_SANITY_CHECK = "SGLANG_ENABLE_TREE_CACHE_SANITY_CHECK"
TREE_CORE = "SGLANG_UNIFIED_RADIX_TREE_CORE_BACKEND"


def set_environment(settings: HostSettings) -> None:
    """Set what SGLang reads from the environment; must run before sglang is imported."""
    os.environ.update(
        # 1 asks for the CPU build of sgl_kernel, which is not needed for a model that computes nothing.
        SGLANG_USE_CPU_ENGINE="0",
        SGLANG_EXTERNAL_MODEL_PACKAGE="exhausters.engine.sglang.null_models",
        # Withheld pages look like a leak; the hook turns the check on while nothing is withheld.
        SGLANG_ENABLE_STRICT_MEM_CHECK_DURING_IDLE="0",
    )
    if settings.tree_core != "default":
        os.environ[TREE_CORE] = settings.tree_core
    os.environ.update(settings.environment)
