"""`exhausters doctor`: it says ready only of what boots, and names what is missing of what does not."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from rich.console import Console

from exhausters import doctor
from exhausters.errors import BootError, MissingModuleError, TargetSpecError
from exhausters.targets import PreparedTarget
from tests.fakes.fake_target import fake_target


class _Host:
    """Stands for a booted worker."""

    facts: ClassVar[dict[str, Any]] = {"pid": 4321, "event_loop": "loop of its own"}
    ready = SimpleNamespace(notes=("a patch was needed",))

    def __init__(self, target: PreparedTarget) -> None:
        pass

    def __enter__(self) -> _Host:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _examined(monkeypatch: pytest.MonkeyPatch, found: PreparedTarget | Exception) -> tuple[bool, str]:
    def prepare(target: str, *, on_progress: Any) -> PreparedTarget:
        on_progress("looking for it")
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(doctor, "prepare", prepare)
    out = io.StringIO()
    return doctor.examine("release:0.5.23", Console(width=120, file=out)), out.getvalue()


def test_a_target_that_boots_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its boot reports is shown with the worker's notes, without what is only this boot's own."""
    monkeypatch.setattr(doctor, "Host", _Host)
    is_ready, text = _examined(monkeypatch, fake_target())
    assert is_ready
    assert "ready" in text
    booted = text.split("booted", 1)[1]
    assert "loop of its own" in booted
    assert "a patch was needed" in booted
    assert "4321" not in booted


def test_uncommitted_changes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that is not what lies there is not shown as if it were."""
    monkeypatch.setattr(doctor, "Host", _Host)
    clean, dirty = (
        _examined(monkeypatch, replace(fake_target(), commit="c0ffee", dirty=is_dirty))[1]
        for is_dirty in (False, True)
    )
    assert "c0ffee" in clean
    assert "uncommitted" not in clean
    assert "c0ffee with uncommitted changes" in dirty


def test_a_missing_module_is_named_with_its_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is said, and the target is not ready."""
    error = MissingModuleError("no module", module="zmq", distribution="pyzmq")
    is_ready, text = _examined(monkeypatch, error)
    assert not is_ready
    assert "module zmq, distribution pyzmq" in text


@pytest.mark.parametrize("error", [BootError("[bold]it did not come up"), TargetSpecError("no such target")])
def test_what_fails_is_not_ready(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The kind of the error and all of its text are shown as they are, brackets included."""
    is_ready, text = _examined(monkeypatch, error)
    assert not is_ready
    assert type(error).__name__ in text
    assert str(error) in text


def test_the_worker_is_really_booted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target is ready because a scheduler came up in a process: of one that ends at once, none does."""
    assert _examined(monkeypatch, fake_target())[0]
    ends = replace(fake_target(), python=Path("/bin/false"))
    assert not _examined(monkeypatch, ends)[0]
