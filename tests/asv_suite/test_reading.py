from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from asv.runner import BENCHMARK_RUN_SCRIPT

from exhausters.asv_suite.axes import cells_by_values
from exhausters.asv_suite.measure import CellOutcome
from exhausters.asv_suite.reading import parse_read_command
from exhausters.asv_suite.suite_grid import suite_grid

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STEPS = "batch_formation.BatchFormation.track_steps_to_drain"
OUTCOME = "outcomes.Outcomes.track_outcome"
CPU = "host_time.HostTime.track_scheduler_cpu_seconds"
FAILED = 1


def leave_sweep(folder: Path) -> None:
    """Leave what `setup_cache` leaves: every cell drained in as many steps as its place, but one stalled."""
    cells = cells_by_values(suite_grid()).values()
    swept = {
        cell.id: CellOutcome(
            outcome="stalled" if place == FAILED else "drained",
            reason="why" if place == FAILED else "",
            decision_digest="ff" * 32,
            metrics={"steps_to_drain": place, "scheduler_cpu_seconds": place / 8},
        )
        for place, cell in enumerate(cells)
    }
    (folder / "cache.pickle").write_bytes(pickle.dumps(swept))


def command_for(identity: str, file: Path, *, profile: str = "None") -> list[str]:
    """What asv would start for one value."""
    options = '{"cpu_affinity": null}'
    return [BENCHMARK_RUN_SCRIPT, "run", str(BENCHMARKS), identity, options, profile, str(file)]


@pytest.mark.parametrize(
    "identity",
    [f"{STEPS}-0", f"{STEPS}-5", f"{STEPS}-{FAILED}", f"{OUTCOME}-0", f"{OUTCOME}-{FAILED}", f"{CPU}-7"],
)
def test_same_as_a_process_of_its_own(identity: str, tmp_path: Path) -> None:
    """A value read without a process is the value, the output and the exit code of asv's own process."""
    leave_sweep(tmp_path)
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    command = parse_read_command(command_for(identity, ours))
    assert command is not None
    output, _, code = command.run(tmp_path)
    done = subprocess.run(
        [sys.executable, *command_for(identity, theirs)],
        cwd=tmp_path,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert (output, code) == (done.stdout, done.returncode)
    assert ours.read_text() == theirs.read_text()


def test_each_point_is_its_own(tmp_path: Path) -> None:
    """Every point of the grid is read from its own cell."""
    leave_sweep(tmp_path)
    file = tmp_path / "value.json"
    read = []
    for place in range(len(suite_grid().cells)):
        command = parse_read_command(command_for(f"{STEPS}-{place}", file))
        assert command is not None
        assert command.run(tmp_path)[2] == 0
        read.append(json.loads(file.read_text()))
    assert read == [None if place == FAILED else place for place in range(len(read))]


def test_another_set_up_is_read_anew(tmp_path: Path) -> None:
    """The next commit's sweep is another folder, and its values are that folder's."""
    read = []
    for name, steps in (("first", 3), ("second", 4)):
        folder = tmp_path / name
        folder.mkdir()
        cell = next(iter(cells_by_values(suite_grid()).values()))
        metrics = {"steps_to_drain": steps}
        found = CellOutcome(outcome="drained", reason="", decision_digest="", metrics=metrics)
        (folder / "cache.pickle").write_bytes(pickle.dumps({cell.id: found}))
        command = parse_read_command(command_for(f"{STEPS}-0", folder / "value.json"))
        assert command is not None
        command.run(folder)
        read.append(json.loads((folder / "value.json").read_text()))
    assert read == [3, 4]


def test_failure_is_told_as_a_process_tells_it(tmp_path: Path) -> None:
    """A value that cannot be read fails with its traceback and an exit code, and ends nothing."""
    (tmp_path / "cache.pickle").write_bytes(pickle.dumps({}))
    command = parse_read_command(command_for(f"{STEPS}-0", tmp_path / "value.json"))
    assert command is not None
    output, _, code = command.run(tmp_path)
    assert code == 1
    assert "KeyError" in output
    assert not (tmp_path / "value.json").exists()


def test_all_else_has_a_process(tmp_path: Path) -> None:
    """Set-ups, profiles and benchmarks that do more than look up are asv's to start."""
    plain = tmp_path / "plain_suite"
    plain.mkdir()
    (plain / "__init__.py").write_text("def track_size():\n    return 1\n")
    file = tmp_path / "value.json"
    others = [
        [BENCHMARK_RUN_SCRIPT, "setup_cache", str(BENCHMARKS), STEPS, "{}"],
        [BENCHMARK_RUN_SCRIPT, "run", str(plain), "track_size-0", "{}", "None", str(file)],
        command_for(f"{STEPS}-0", file, profile=str(tmp_path / "profile")),
        ["-c", "pass"],
    ]
    assert [parse_read_command(one) for one in others] == [None] * len(others)
