"""Folders of results: what a disk that is full when one is begun leaves, and what is accepted as ours."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from exhausters.bisect.state import bisect_folder
from exhausters.compare.folder import comparison_folder, write_header
from exhausters.errors import StoreError, UsageError
from exhausters.growth.folder import growth_writer
from exhausters.results_folder import answer_folder, append_synced, replace_text, write_answer
from exhausters.scan.state import scan_folder
from exhausters.sweep.store import pairs_writer, sweep_writer
from tests.sweep.samples import a_grid, a_target

_GRID = a_grid(leave_pages=["all", 3])
_LONG = {"asked": "x" * 200}

Begin = Callable[[Path], AbstractContextManager[object]]


@contextmanager
def _begin_comparison(folder: Path) -> Iterator[None]:
    with comparison_folder(folder, reports=()):
        write_header(folder, _LONG)
        yield


BEGIN: dict[str, tuple[str, Begin]] = {
    "sweep": ("sweep.json", lambda folder: sweep_writer(folder, target=a_target(), grid=_GRID)),
    "pairs": (
        "sweep.json",
        lambda folder: pairs_writer(folder, base=a_target("0.5.22"), head=a_target(), grid=_GRID, rounds=1),
    ),
    "scan": ("scan.json", lambda folder: scan_folder(folder, _LONG)),
    "bisection": ("bisect.json", lambda folder: bisect_folder(folder, _LONG)),
    "growth": ("growth.json", lambda folder: growth_writer(folder, _LONG)),
    "comparison": ("compare.json", _begin_comparison),
}


@pytest.fixture(params=BEGIN)
def begun(request: pytest.FixtureRequest) -> tuple[str, Begin]:
    """Name of the header and what begins a folder, of each kind that has a header."""
    return BEGIN[request.param]


def _begin_without_room(begin: Begin, folder: Path) -> None:
    """In a process of its own, where no file may grow beyond some bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
    try:
        with begin(folder):
            pass
    except StoreError:
        os._exit(0)
    os._exit(1)


def test_a_disk_that_was_full_does_not_spoil_a_folder(begun: tuple[str, Begin], tmp_path: Path) -> None:
    """No scratch file is left, and with room the same call begins the folder, as the error says."""
    header, begin = begun
    folder = tmp_path / "out"
    child = multiprocessing.get_context("fork").Process(target=_begin_without_room, args=(begin, folder))
    child.start()
    child.join(timeout=60)
    assert child.exitcode == 0
    assert not list(folder.rglob("*.tmp"))
    assert not (folder / header).exists()
    with begin(folder):
        assert (folder / header).is_file()


def test_a_command_that_was_killed_does_not_spoil_a_folder(begun: tuple[str, Begin], tmp_path: Path) -> None:
    """A scratch file of its header beside the lock is taken for what it is."""
    header, begin = begun
    (tmp_path / ".lock").touch()
    (tmp_path / f"{header}.tmp").write_text("{")
    with begin(tmp_path):
        assert (tmp_path / header).is_file()
        assert not (tmp_path / f"{header}.tmp").exists()


def test_what_others_wrote_is_refused(begun: tuple[str, Begin], tmp_path: Path) -> None:
    """A scratch file of another program, or a log, is a reason to leave a folder alone, and it stays."""
    _, begin = begun
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mine.log.gz").write_text("mine")
    with pytest.raises(UsageError, match="choose another"):
        begin(tmp_path).__enter__()
    assert (tmp_path / "logs" / "mine.log.gz").read_text() == "mine"


@pytest.mark.parametrize("name", ["sweep", "pairs"])
def test_records_without_a_header_are_refused(name: str, tmp_path: Path) -> None:
    """Lines that nobody says what they are of may be another's: they are not replaced."""
    (tmp_path / "records.jsonl").write_text("{}\n")
    with pytest.raises(UsageError, match="expected an empty folder"):
        BEGIN[name][1](tmp_path)
    assert (tmp_path / "records.jsonl").read_text() == "{}\n"


def test_what_is_written_is_synced_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut finds the old file or the new one: its content and its name have reached the disk."""
    order: list[str] = []
    sync, put = os.fsync, Path.replace

    def noted_sync(file: int) -> None:
        order.append(f"sync {Path(os.readlink(f'/proc/self/fd/{file}')).name}")
        sync(file)

    def noted_put(path: Path, place: Path) -> Path:
        order.append(f"rename {path.name}")
        return put(path, place)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_put)
    replace_text(tmp_path / "state.json", "{}")
    append_synced(tmp_path / "lines", "one\n")
    assert order == ["sync state.json.tmp", "rename state.json.tmp", f"sync {tmp_path.name}", "sync lines"]


def test_a_folder_without_room_is_told_before_the_work(tmp_path: Path) -> None:
    """A disk that takes names but no content is found by trying; the trial leaves nothing."""
    with answer_folder(tmp_path, holds="check"):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
    try:
        with (
            pytest.raises(StoreError, match=os.strerror(errno.EFBIG)),
            answer_folder(tmp_path, holds="check"),
        ):
            pytest.fail("the work began")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_what_cannot_be_written_in_the_end_is_shown(tmp_path: Path) -> None:
    """Each file of an answer is written or shown, and an error says which folder is at fault."""
    (tmp_path / "taken.json").mkdir()
    shown: list[str] = []
    texts = {"taken.json": "{}", "issue.md": "# broken"}
    with pytest.raises(StoreError, match=f"--out {tmp_path}: cannot be written"):
        write_answer(tmp_path, texts, show=shown.append)
    assert shown == ["taken.json, which could not be written:\n{}"]
    assert (tmp_path / "issue.md").read_text() == "# broken"
