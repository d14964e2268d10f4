"""Faults of a comparison whose workers are real processes: message, exit code, what stays, nothing left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from exhausters.sweep.read_records import read_records
from exhausters.sweep.record import CRASHED, DRAINED, TIMEOUT
from tests.compare.fake_command import HEAD, RUNNING
from tests.worker.footprint import wait_until

BASE = "release:0.5.22"


@contextmanager
def _started(folder: Path, fault: str) -> Iterator[subprocess.Popen[str]]:
    """The command, in a session of its own; none of its processes, nor their files, may be left."""
    folder.mkdir(exist_ok=True)
    grid = folder / "grid.toml"
    grid.write_text('[axes]\nworkload = ["bursts:bursts=1"]\nleave_pages = ["all", 64]\n')
    words = ["compare", BASE, HEAD, "--grid", str(grid), "--out", str(folder / "out"), "--no-host-time"]
    command = [sys.executable, "-m", "tests.compare.fake_command", fault, *words]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder), "NO_COLOR": "1"},
    ) as run:
        yield run
        assert run.poll() is not None
        mine = str(folder)
        assert wait_until(lambda: not [one for one in psutil.process_iter() if _names(one, mine)])
    assert list(folder.glob("exhausters-*")) == []


def _names(process: psutil.Process, folder: str) -> bool:
    """Whether a process works below this folder: a worker, or its supervisor."""
    try:
        return any(folder in word for word in process.cmdline())
    except psutil.Error:
        return False


def _ended(folder: Path, fault: str) -> tuple[int, str]:
    with _started(folder, fault) as run:
        out, err = run.communicate(timeout=240)
    return run.returncode, out + err


def _outcomes(folder: Path, side: str) -> list[str]:
    return sorted(one.result.outcome for one in read_records(folder / "out" / side).records)


def _is_complete(folder: Path) -> bool:
    return bool(json.loads((folder / "out" / "compare.json").read_text())["complete"])


@pytest.mark.parametrize(("fault", "outcome"), [("crash", CRASHED), ("hang", TIMEOUT)])
def test_a_worker_that_dies_or_hangs(tmp_path: Path, fault: str, outcome: str) -> None:
    """The cell is told and never passes, the other cells and the other side are compared."""
    code, said = _ended(tmp_path, fault)
    assert code in (1, 2), said
    assert f"{outcome} in head" in said
    assert _outcomes(tmp_path, "head") == sorted([outcome, DRAINED])
    assert _outcomes(tmp_path, "base") == [DRAINED, DRAINED]


def test_a_side_that_cannot_boot(tmp_path: Path) -> None:
    """Its cells crashed for one reason, the other side has run, and the exit code is no pass."""
    code, said = _ended(tmp_path, "boot")
    assert code in (1, 2), said
    assert _outcomes(tmp_path, "head") == [CRASHED, CRASHED]
    assert _outcomes(tmp_path, "base") == [DRAINED, DRAINED]


def test_ctrl_c_and_a_second_command(tmp_path: Path) -> None:
    """A second command in the folder is refused, and Ctrl-C exits with 2; the records so far stay."""
    with _started(tmp_path, "wait") as run:
        assert run.stderr is not None
        while RUNNING not in (line := run.stderr.readline()):
            assert line, "it ended too early"
        below = psutil.Process(run.pid).children(recursive=True)
        assert len(below) >= 2
        second = subprocess.run(
            [*run.args],  # type: ignore[misc]
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "TMPDIR": str(tmp_path), "NO_COLOR": "1"},
        )
        assert second.returncode == 2
        assert "FolderBusyError: --out" in second.stderr
        run.send_signal(signal.SIGINT)
        _, told = run.communicate(timeout=60)
        assert run.returncode == 2
        assert "interrupted; what has been written stays" in told
        assert wait_until(lambda: not any(one.is_running() for one in below))
    assert not _is_complete(tmp_path)
    assert _outcomes(tmp_path, "base") == [DRAINED, DRAINED]
    assert not read_records(tmp_path / "out" / "base").is_complete
