from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exhausters.targets.cache import MARKER, build_once, cache_root, is_complete

ROOT = Path(__file__).parents[2]

# Builds argv[1]. Says "building" once inside; then goes on only when the file argv[2] exists.
BUILDER = """
import sys, time, pathlib
from exhausters.targets.cache import build_once
folder, gate = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
def build(f):
    (f / "half").touch()
    with (f.parent / "builds.log").open("a") as log: log.write("x")
    print("building", flush=True)
    while not gate.exists(): time.sleep(0.01)
    (f / "whole").touch()
build_once(folder, build, content={}, on_progress=lambda m: print(m, flush=True))
print("done", (folder / "whole").exists(), flush=True)
"""

# Like uv when its parent is killed: a child that goes on writing into the folder.
ORPHAN_MAKER = """
import subprocess, sys, pathlib, time
from exhausters.targets.cache import build_once
late = "import sys,time,pathlib\\nwhile not pathlib.Path(sys.argv[2]).exists(): time.sleep(0.01)\\n"
late += "time.sleep(0.2); pathlib.Path(sys.argv[1], 'late').touch()"
def build(f):
    subprocess.Popen([sys.executable, "-c", late, str(f), sys.argv[2]], close_fds=False)
    print("building", flush=True)
    time.sleep(60)
build_once(pathlib.Path(sys.argv[1]), build, content={})
"""


def start(code: str, folder: Path, gate: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(gate)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def finish(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_builds_once(tmp_path: Path) -> None:
    """A complete folder is returned as it is, and its marker holds what it was made from."""
    folder = tmp_path / "deep" / "folder"
    build_once(folder, lambda f: (f / "a").touch(), content={"pins": ["x"]})
    build_once(folder, lambda _: pytest.fail("built twice"), content={})
    assert json.loads((folder / MARKER).read_text()) == {"pins": ["x"]}


def test_two_builders_at_once(tmp_path: Path) -> None:
    """Of two processes one builds; the other says that it waits, then uses the result."""
    folder, gate = tmp_path / "folder", tmp_path / "gate"
    first = start(BUILDER, folder, gate)
    try:
        assert line_of(first) == "building"
        second = start(BUILDER, folder, gate)
        try:
            waiting = line_of(second)
            gate.touch()
            assert line_of(first) == "done True"
            assert line_of(second) == "done True"
        finally:
            finish(second)
    finally:
        finish(first)
    assert waiting == f"waiting for another builder of folder (process {first.pid})"
    assert (tmp_path / "builds.log").read_text() == "x"


def test_killed_half_way(tmp_path: Path) -> None:
    """What a killed builder left behind is wiped, not taken for an environment."""
    folder = tmp_path / "folder"
    process = start(BUILDER, folder, tmp_path / "never")
    try:
        assert line_of(process) == "building"
    finally:
        finish(process)
    assert (folder / "half").exists()
    assert not is_complete(folder)
    build_once(folder, lambda f: (f / "fresh").touch(), content={})
    assert {path.name for path in folder.iterdir()} == {"fresh", MARKER}


def test_orphan_of_a_killed_builder(tmp_path: Path) -> None:
    """The next builder waits until an installer that outlived its parent has stopped writing."""
    folder, gate = tmp_path / "folder", tmp_path / "gate"
    process = start(ORPHAN_MAKER, folder, gate)
    try:
        assert line_of(process) == "building"
    finally:
        # Not finish(): the orphan holds the pipe open too.
        process.kill()
        process.wait()
    said: list[str] = []

    def on_progress(message: str) -> None:
        said.append(message)
        gate.touch()

    build_once(folder, lambda _: None, content={}, on_progress=on_progress)
    gate.touch()  # lets the orphan end even if nobody waited for it
    time.sleep(0.5)
    assert len(said) == 1
    assert {path.name for path in folder.iterdir()} == {MARKER}
    assert process.stdout is not None
    process.stdout.close()


def test_failed_build_leaves_nothing(tmp_path: Path) -> None:
    """An error during a build is passed on and the next call starts afresh."""

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        build_once(tmp_path / "folder", fail, content={})
    assert not (tmp_path / "folder").exists()


def test_unusable_folder_is_built_again(tmp_path: Path) -> None:
    """A complete folder that has since been damaged is replaced."""
    folder = tmp_path / "folder"
    build_once(folder, lambda f: (f / "old").touch(), content={})
    build_once(folder, lambda f: (f / "new").touch(), content={}, is_usable=lambda f: (f / "new").exists())
    assert not (folder / "old").exists()


def test_cache_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user decides where the cache is: own variable first, then XDG, then the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("EXHAUSTERS_CACHE", "/own")
    assert cache_root() == Path("/own")
    monkeypatch.delenv("EXHAUSTERS_CACHE")
    assert cache_root() == Path("/xdg/exhausters")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert cache_root() == tmp_path / ".cache" / "exhausters"
