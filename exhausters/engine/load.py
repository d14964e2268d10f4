"""Find the parts of an engine by its name: nothing outside an engine's own package imports it directly."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from exhausters.engine.api import Boot

#: The engine whose switches a grid may set.
SGLANG = "sglang"


def load_boot(engine: str) -> Boot:
    """Import `exhausters.engine.ENGINE.boot`; raises ImportError when there is no such engine."""
    return cast("Boot", importlib.import_module(f"exhausters.engine.{engine}.boot"))


def ambient_prefixes(engine: str = SGLANG) -> tuple[str, ...]:
    """How the variables begin that an engine reads: its worker does not inherit them from the shell."""
    try:
        module = importlib.import_module(f"exhausters.engine.{engine}.environment")
    except ModuleNotFoundError:
        return ()  # the worker reports an engine that does not exist
    prefixes: tuple[str, ...] = module.AMBIENT_PREFIXES
    return prefixes


class Reserved(Protocol):
    """What the harness sets of an engine itself, so that a grid cannot: a module without sglang or torch.

    Attributes:
        NAMED: keywords of `ServerArgs`, by the setting of a cell that gives them; `!` before those that say
            the opposite.
        FORCED: keywords of `ServerArgs` with the value that they always have.
        SINGLE_RANK: keywords that must be 1.
        RESERVED_VARIABLES: environment variables.
        TREE_CORE: the variable that the axis `tree_core` sets.
    """

    NAMED: Mapping[str, str]
    FORCED: Mapping[str, Any]
    SINGLE_RANK: tuple[str, ...]
    RESERVED_VARIABLES: frozenset[str]
    TREE_CORE: str

    def is_meaningless(self, keyword: str) -> bool:
        """Tell whether a keyword means nothing on a CPU without a model."""

    def device_asked_for(self, engine: Mapping[str, Any]) -> str | None:
        """Say which keyword of a script asks for a device, a backend or weights that are not here."""

    def null_model_for(self, model_path: object) -> str:
        """Return the null model that has the kinds of layers of the model that a script names."""


def reserved(engine: str = SGLANG) -> Reserved:
    """Return what a grid cannot set of an engine."""
    return cast("Reserved", importlib.import_module(f"exhausters.engine.{engine}.reserved"))


class SourceTree(Protocol):
    """What an engine's source says without being imported: a module without sglang or torch.

    Attributes:
        WATCHED: folder below the source folder that holds all that a scheduler executes.
        SCHEDULER_FOLDERS: folders in it that hold the scheduler's own code, each with a slash at its end.
        NULL_MODELS: null models by what the scheduler asks of a model.
    """

    WATCHED: str
    SCHEDULER_FOLDERS: tuple[str, ...]
    NULL_MODELS: Mapping[str, str]

    def switches(self, source_dir: Path) -> Mapping[str, object]:
        """Return the switches that a build can be booted with, each with its default."""


def source_tree(engine: str) -> SourceTree:
    """Return what is known of the sources of an engine's builds."""
    return cast("SourceTree", importlib.import_module(f"exhausters.engine.{engine}.source_tree"))
