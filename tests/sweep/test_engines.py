"""Which executor a command is given; without Ray."""

from __future__ import annotations

import sys

import pytest

from exhausters.cli.engines import Engine, executor_of
from exhausters.errors import MissingExtraError, UsageError
from exhausters.sweep.execute import LocalExecutor


def test_local_is_this_machine() -> None:
    """The engine local is the local executor, and Ray is not even looked for."""
    with executor_of(Engine.LOCAL, 2) as executor:
        assert isinstance(executor, LocalExecutor)
        assert executor.workers == 2


def test_an_address_needs_ray() -> None:
    """An address that would be ignored is refused."""
    with pytest.raises(UsageError, match="--engine ray"), executor_of(Engine.LOCAL, 1, address="auto"):
        pass


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Ray is not installed, the message says what to install."""
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match=r"sglang-exhausters\[ray\]"), executor_of(Engine.RAY, 1):
        pass
