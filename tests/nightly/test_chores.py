"""What the Makefile's chores for the night run, with stand-ins for the programs they call."""

from __future__ import annotations

import math
import os
import re
import subprocess
from pathlib import Path

import pytest

from benchmarks import bench_detect_history, bench_lock_refs_scaling
from exhausters.targets import NEWEST_RELEASE

ROOT = Path(__file__).parents[2]
# Where a default names the newest release; CONTRIBUTING.md lists these places.
DEFAULTS = ("Makefile", ".github/workflows/nightly.yml", ".ci/run")
STAND_IN = '#!/bin/sh\necho "$(basename "$0") $*" >> "{log}"\ncase "$*" in *{failing}*) exit 1;; esac\n'


def called(folder: Path, *arguments: str, failing: str = "nothing-of-this-name") -> tuple[int, list[str]]:
    """Exit code of make, and the commands it ran; those that contain `failing` fail."""
    log, stamp = folder / "commands", folder / "stamp"
    (folder / "bin").mkdir(parents=True)
    stamp.touch()
    for name in ("python", "exhausters"):
        program = folder / "bin" / name
        program.write_text(STAND_IN.format(log=log, failing=failing))
        program.chmod(0o755)
    command = ["make", *arguments, f"VENV={folder}", f"STAMP={stamp}", f"NIGHTLY_OUT={folder}/out"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, check=False)
    return done.returncode, log.read_text().splitlines()


def test_the_night_counts_work(tmp_path: Path) -> None:
    """`make nightly` sweeps both sides with the pass that counts work; only `make bench` leaves it out."""
    code, commands = called(tmp_path / "nightly", "nightly", "BASE=release:0.5.22", "TARGET=path:X")
    sweeps = [line for line in commands if line.startswith("exhausters sweep")]
    assert code == 0
    assert [line.split()[3] for line in sweeps] == ["release:0.5.22", "path:X"]
    assert not [line for line in sweeps if "--no-work" in line]
    _, commands = called(tmp_path / "bench", "bench", f"OUT={tmp_path}")
    assert [line for line in commands if line.startswith("exhausters sweep") and "--no-work" in line]


def test_every_benchmark_of_the_harness_is_run(tmp_path: Path) -> None:
    """`make bench-harness` runs every `bench_*.py`, also after one failed, and then fails itself."""
    code, commands = called(tmp_path, "bench-harness", failing="bench_lock_refs_scaling")
    ran = [match[1] for line in commands if (match := re.search(r"-m benchmarks\.(\w+)", line))]
    assert sorted(ran) == sorted(path.stem for path in (ROOT / "benchmarks").glob("bench_*.py"))
    assert code != 0


@pytest.mark.parametrize(("limit", "code"), [(0.0, 1), (math.inf, 0)])
def test_limits_of_the_harness_can_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], limit: float, code: int
) -> None:
    """A benchmark of the harness fails when it takes longer than its limit."""
    monkeypatch.setattr(bench_lock_refs_scaling, "NODE_COUNTS", (100,))
    for module in (bench_lock_refs_scaling, bench_detect_history):
        monkeypatch.setattr(module, "LIMIT_SECONDS", limit)
    assert bench_lock_refs_scaling.main() == code
    assert bench_detect_history.main(60, 10, 8) == code


def test_second_walk_of_the_tree_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exhauster that walks the tree once per pin fails the scaling benchmark, however fast it is."""
    make = bench_lock_refs_scaling.make_exhauster
    monkeypatch.setattr(bench_lock_refs_scaling, "make_exhauster", lambda kind, count: make("naive", count))
    monkeypatch.setattr(bench_lock_refs_scaling, "NODE_COUNTS", (100,))
    assert bench_lock_refs_scaling.main() == 1
    assert "100 nodes: 10201 visits, expected one per node" in capsys.readouterr().err


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_name_the_newest_release(name: str) -> None:
    """A default that names a release, or a range, names the newest one."""
    text = (ROOT / name).read_text()
    named = set(re.findall(r"release:(\d[\w.]*)", text)) | set(re.findall(r"\.\.v(\d[\w.]*)", text))
    assert named == {NEWEST_RELEASE}
