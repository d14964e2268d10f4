"""Exhausters that this process has registered beside the built-in ones: its workers import them too."""

from __future__ import annotations

from exhausters.worker.protocol import ScriptRef

_EXTENSIONS: list[ScriptRef] = []


def extensions() -> tuple[ScriptRef, ...]:
    """Return all references, in the order in which they were added."""
    return tuple(_EXTENSIONS)


def add(reference: ScriptRef) -> None:
    """Add one; workers that are up already are not affected."""
    if reference not in _EXTENSIONS:
        _EXTENSIONS.append(reference)


def remove(reference: ScriptRef) -> None:
    """Take one out again; harmless when it is not there."""
    if reference in _EXTENSIONS:
        _EXTENSIONS.remove(reference)
