"""The folder of a bisection: resumed, guarded, refused."""

from __future__ import annotations

import errno
import multiprocessing
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from exhausters.bisect.state import bisect_folder
from exhausters.errors import FolderBusyError, StoreError, UsageError

_ASKED = {"good": "a", "bad": "b"}


def test_what_was_found_is_there_in_the_next_call(tmp_path: Path) -> None:
    """Skips with their reasons, and boots, are on disk as soon as they are noted."""
    with bisect_folder(tmp_path / "out", _ASKED) as state:
        state.note_skip("c", "no pins")
        state.note_boot("d")
        state.note_boot("d")
    with bisect_folder(tmp_path / "out", _ASKED) as state:
        assert state.skipped == {"c": "no pins"}
        assert state.booted == ["d"]


def test_another_question_is_refused(tmp_path: Path) -> None:
    """A folder holds one bisection; the message says what differs."""
    with bisect_folder(tmp_path / "out", _ASKED):
        pass
    with (
        pytest.raises(UsageError, match="holds another bisection \\(bad: 'b', now 'x'\\)"),
        bisect_folder(tmp_path / "out", {**_ASKED, "bad": "x"}),
    ):
        pass


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    """Nothing is written among other files, or over a state that cannot be read."""
    (tmp_path / "thesis.txt").write_text("mine")
    with (
        pytest.raises(UsageError, match="expected an empty folder or an earlier bisection"),
        bisect_folder(tmp_path, _ASKED),
    ):
        pass
    with bisect_folder(tmp_path / "out", _ASKED):
        pass
    (tmp_path / "out" / "bisect.json").write_text("{")
    with (
        pytest.raises(StoreError, match="not the state of a bisection"),
        bisect_folder(tmp_path / "out", _ASKED),
    ):
        pass


def _hold(folder: Path, held: Event, let_go: Event) -> None:
    with bisect_folder(folder, _ASKED):
        held.set()
        let_go.wait(30)


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    """The second process is told so; when the first has ended, however it did, the folder is free."""
    context = multiprocessing.get_context("spawn")
    held, let_go = context.Event(), context.Event()
    first = context.Process(target=_hold, args=(tmp_path / "out", held, let_go))
    first.start()
    try:
        assert held.wait(30)
        with (
            pytest.raises(FolderBusyError, match="another bisection writes into it"),
            bisect_folder(tmp_path / "out", _ASKED),
        ):
            pass
    finally:
        first.kill()
        first.join()
    with bisect_folder(tmp_path / "out", _ASKED):
        pass


def test_a_full_disk_is_a_typed_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to do, and what was found before is there when there is room again."""
    with bisect_folder(tmp_path / "out", _ASKED) as state:
        state.note_skip("a", "does not boot")
        with monkeypatch.context() as full:
            full.setattr(Path, "write_text", _full)
            with pytest.raises(StoreError, match=r"No space left.*call the same command again"):
                state.note_boot("b")
    with bisect_folder(tmp_path / "out", _ASKED) as state:
        assert state.skipped == {"a": "does not boot"}


def _full(*_arguments: object, **_more: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")
