"""What is registered beside the built-in exhausters, and which of it workers are told of."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import FunctionType, ModuleType
from typing import Any

import pytest

from exhausters.errors import LevelError, UsageError
from exhausters.pressure.registry import kinds, register, register_extension, unregister
from exhausters.worker import extensions
from exhausters.worker.protocol import ScriptRef
from exhausters.worker.script_ref import module_ref
from tests.pressure import toy_exhauster
from tests.pressure.toy_exhauster import KIND, ChunkBudgetExhauster

_REFERENCE = module_ref(toy_exhauster.__name__, "KIND")


def _typed_at_a_prompt(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A kind that is a global of a module without a file."""
    prompt = ModuleType("prompt")
    factory = FunctionType((lambda engine: ChunkBudgetExhauster(engine)).__code__, globals(), "factory")
    factory.__module__ = "prompt"
    vars(prompt)["KIND"] = kind = replace(KIND, factory=factory)
    monkeypatch.setitem(sys.modules, "prompt", prompt)
    return kind


def test_workers_are_told_of_a_kind_that_they_can_import() -> None:
    """A kind of a module is registered in workers too, as long as it is registered here."""
    before = extensions.extensions()
    register(KIND)
    try:
        assert extensions.extensions() == (*before, _REFERENCE)
        with pytest.raises(LevelError, match="leave_budget: is registered already"):
            register(KIND)
    finally:
        unregister(KIND)
    assert extensions.extensions() == before
    unregister(KIND)
    assert KIND not in kinds()


@pytest.mark.parametrize("where", ["function", "prompt", "nowhere"])
def test_a_kind_that_no_worker_can_import_stays_here(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind that is no global of a file counts in this process, and no worker is sent a reference to it."""
    if where == "prompt":
        kind = _typed_at_a_prompt(monkeypatch)
    else:
        kind = replace(KIND)  # equal to the one of the module, and not the same
        if where == "nowhere":
            monkeypatch.delitem(sys.modules, toy_exhauster.__name__)
    before = extensions.extensions()
    register(kind)
    try:
        assert kind in kinds()
        assert extensions.extensions() == before
    finally:
        unregister(kind)
    assert kind not in kinds()


def test_a_worker_registers_a_kind_once() -> None:
    """A worker that is forked from one that has registered the kind registers it no second time."""
    register_extension(_REFERENCE)
    try:
        register_extension(_REFERENCE)
        assert kinds().count(KIND) == 1
    finally:
        unregister(KIND)


def test_an_extension_is_a_kind() -> None:
    """A reference to anything else is refused with what was found there."""
    wrong = ScriptRef(module=toy_exhauster.__name__, qualname="ChunkBudgetExhauster")
    with pytest.raises(UsageError, match="expected an ExhausterKind, found <class"):
        register_extension(wrong)
