"""Every exhauster there is. A new one is a file in this folder and a line in `_KINDS`.

Levels, grid axes, ids, tables, results and the dashboard derive from this list. The parent process, which has
neither torch nor sglang, imports it, and so no exhauster's file imports them at its top.
"""

from __future__ import annotations

import sys
from contextlib import suppress

from exhausters.errors import LevelError, UsageError
from exhausters.pressure import (
    host_pool,
    kv_pool,
    lock_refs,
    lora_slots,
    mamba_slots,
    prealloc_slots,
    req_rows,
    window_tokens,
)
from exhausters.pressure.kind import ExhausterKind
from exhausters.worker import extensions
from exhausters.worker.find_script import find_object
from exhausters.worker.protocol import ScriptRef
from exhausters.worker.script_ref import module_ref

# In the order of axes and columns.
_KINDS: list[ExhausterKind] = [
    kv_pool.KIND,
    lock_refs.KIND,
    req_rows.KIND,
    host_pool.KIND,
    window_tokens.KIND,
    mamba_slots.KIND,
    lora_slots.KIND,
    prealloc_slots.KIND,
]


def kinds() -> tuple[ExhausterKind, ...]:
    """Return every registered kind, in the order of axes and columns."""
    return tuple(_KINDS)


def level_names() -> tuple[str, ...]:
    """Return the names of all levels, in the same order."""
    return tuple(kind.level_name for kind in _KINDS)


def kind_of(level_name: str) -> ExhausterKind:
    """Return the kind that has this level.

    Raises:
        LevelError: there is none; lists what there is.
    """
    for kind in _KINDS:
        if kind.level_name == level_name:
            return kind
    known = ", ".join(f"{kind.level_name} ({kind.scarce})" for kind in _KINDS)
    raise LevelError(f"{level_name}: no exhauster has this level; the levels are {known}")


def register(kind: ExhausterKind) -> None:
    """Add a kind for the rest of this process: for an exhauster that lives outside of this folder.

    Workers that are booted from then on register it too, if it is a global of its factory's module.

    Raises:
        LevelError: a registered kind has the same level.
    """
    if kind.level_name in level_names():
        raise LevelError(f"{kind.level_name}: is registered already; give the new level another name")
    _KINDS.append(kind)
    reference = _reference(kind)
    if reference is not None:
        extensions.add(reference)


def unregister(kind: ExhausterKind) -> None:
    """Take a kind out again; harmless when it is not there."""
    if kind in _KINDS:
        _KINDS.remove(kind)
        reference = _reference(kind)
        if reference is not None:
            extensions.remove(reference)


def register_extension(reference: ScriptRef) -> None:
    """Import and register a kind that the process of the host has registered; harmless when it is registered.

    Raises:
        UsageError: the reference is to something else than a kind.
        ImportError: its module cannot be imported here.
    """
    kind = find_object(reference)
    if not isinstance(kind, ExhausterKind):
        raise UsageError(f"extension {reference}: expected an ExhausterKind, found {kind!r}")
    if kind not in _KINDS:
        register(kind)


def _reference(kind: ExhausterKind) -> ScriptRef | None:
    """Where a worker can import the kind; None when it is no global of its factory's module."""
    module = sys.modules.get(getattr(kind.factory, "__module__", None) or "")
    if module is None:
        return None
    for name, value in vars(module).items():
        if value is kind:
            with suppress(UsageError):  # typed at a prompt: no worker can import it
                return module_ref(module.__name__, name)
    return None
