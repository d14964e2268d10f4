"""The pytest-benchmark suite as the nightly run calls it: a process of its own, and its JSON read back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exhausters.gate_suite.benchmark_info import every_axis
from exhausters.gate_suite.cpu_timer import TIMER
from exhausters.observe.metrics import HOST, METRICS
from exhausters.sweep.grid import load_grid
from exhausters.targets import NEWEST_RELEASE
from exhausters.workloads import parse_workload
from reports.load.frame import results_of
from reports.load.pytest_benchmark import load_pytest_benchmark

ROOT = Path(__file__).parents[2]
GATE = "benchmarks/gate"
CELLS = f"{GATE}/test_cells.py"
MICRO = f"{GATE}/test_micro.py"
ROUNDS = 2
# 128 pages of one token cannot hold any of the prompts: that cell stalls.
GRID = """
name = "toy"
[axes]
workload = ["long_context:requests=12"]
leave_pages = ["all", 128]
leave_refs = [0]
page_size = [1]
"""
# A plugin with which every test takes longer than the limit.
DAWDLING = """
import time

import pytest


@pytest.fixture(autouse=True)
def dawdle():
    time.sleep(1.0)
"""
FLOWING, STALLING = (
    f"long_context:requests=12/p1/pages={pages},refs=0,rows=all/one_shot" for pages in ("all", 128)
)


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One run of the suite."""

    exit_code: int
    output: str
    file: Path

    @property
    def benchmarks(self) -> dict[str, dict[str, Any]]:
        """Benchmarks by name."""
        return {one["name"]: one for one in json.loads(self.file.read_text())["benchmarks"]}


def run_suite(folder: Path, *arguments: str, name: str = "suite") -> Suite:
    grid, file = folder / "toy.toml", folder / f"{name}.json"
    grid.write_text(GRID)
    command = [sys.executable, "-m", "pytest", "--grid", str(grid), f"--rounds={ROUNDS}"]
    command += [f"--benchmark-json={file}", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return Suite(exit_code=done.returncode, output=done.stdout + done.stderr, file=file)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """Both cells, and the smallest size of each operation; saved as an earlier result as well."""
    folder = tmp_path_factory.mktemp("gate")
    micro = ("test_pin_leaves[64]", "test_match_prefix[256]", "test_evict_leaves[64]")
    saving = (f"--benchmark-storage={folder / 'saved'}", "--benchmark-save=base")
    return run_suite(folder, *saving, CELLS, *(f"{MICRO}::{one}" for one in micro))


@pytest.mark.real
def test_every_phase_is_there(suite: Suite) -> None:
    """Each cell has a benchmark in every group, timed in CPU seconds of the scheduler, in all rounds."""
    groups = {name: one["group"] for name, one in suite.benchmarks.items()}
    expected = {f"test_{group}[{cell}]": group for group in PHASES for cell in (FLOWING, STALLING)}
    assert expected.items() <= groups.items(), suite.output
    assert set(groups.values()) == {*PHASES, "micro_pin", "micro_match", "micro_evict"}
    assert len(groups) == len(expected) + 3
    for one in suite.benchmarks.values():
        assert len(one["stats"]["data"]) == ROUNDS
        assert one["options"]["timer"].endswith("scheduler_cpu_seconds")


PHASES = ("drain", "form_batch", "evict", "pin")


@pytest.mark.real
def test_drained_cell_tells_everything(suite: Suite) -> None:
    """Target, grid, cell, all metrics with their samples, digest and provenance are in the file."""
    grid = load_grid(str(suite.file.with_name("toy.toml")))
    one = suite.benchmarks[f"test_drain[{FLOWING}]"]
    info = one["extra_info"]
    assert (info["target"], info["target_version"]) == (f"release:{NEWEST_RELEASE}", NEWEST_RELEASE)
    assert (info["cell"], info["outcome"], info["reason"]) == (FLOWING, "drained", "")
    assert set(info["metrics"]) == set(METRICS)
    assert info["metrics"]["steps_to_drain"] > 0
    assert info["metrics"]["python_calls_per_step"] > 0
    assert {METRICS[name].kind for name in info["samples"]} == {HOST}
    samples = info["samples"]["scheduler_cpu_seconds"]
    assert one["stats"]["data"] == pytest.approx(samples, abs=1e-8)
    assert len(info["decision_digest"]) == 64
    assert info["engine"]["page_size"] == 1
    assert info["levels"] == {"leave_pages": None, "leave_refs": 0, "leave_rows": None, "held": False}
    provenance = info["provenance"]
    assert (provenance["grid"], provenance["grid_digest"]) == ("toy", grid.digest)
    assert provenance["workload_digest"] == parse_workload("long_context:requests=12").digest
    assert provenance["sglang_version"] == NEWEST_RELEASE
    assert one["params"]["leave_refs"] == 0


@pytest.mark.real
def test_phases_are_parts_of_draining(suite: Suite) -> None:
    """Forming batches and evicting are parts of the same rounds; pinning comes before them."""
    seconds = {phase: suite.benchmarks[f"test_{phase}[{FLOWING}]"]["stats"]["data"] for phase in PHASES}
    for drain, form_batch, evict in zip(*(seconds[name] for name in PHASES[:3]), strict=True):
        assert 0 < form_batch < drain
        assert 0 < evict < drain
    assert min(seconds["pin"]) > 1e-6


@pytest.mark.real
def test_stalled_cell_fails_visibly(suite: Suite) -> None:
    """A cell that does not drain has its outcome and reason on record, and its tests fail, nothing else."""
    for phase in PHASES:
        info = suite.benchmarks[f"test_{phase}[{STALLING}]"]["extra_info"]
        assert info["outcome"] == "stalled"
        assert "no forward for" in info["reason"]
    assert suite.exit_code == 1
    assert suite.output.count("\nFAILED ") == len(PHASES)
    assert "skipped" not in suite.output


@pytest.mark.real
def test_reports_read_it(suite: Suite) -> None:
    """The loader of `reports` takes the file as it is: one run a benchmark, with axes, outcome and timer."""
    _, runs = load_pytest_benchmark(suite.file)
    by_cell = {run.cell: run for run in runs}
    assert len(by_cell) == len(runs) == 11
    assert by_cell[FLOWING].target == f"release:{NEWEST_RELEASE}"
    assert by_cell[FLOWING].axes["leave_pages"] is None
    assert by_cell[STALLING].outcome == "stalled"
    assert {reading.metric.name for reading in by_cell[FLOWING].readings} > set(METRICS)
    micro = by_cell["micro/pin/leaves=64"]
    assert (micro.axes["leaves"], micro.axes["leave_pages"], micro.axes["workload"]) == (64, None, None)
    seconds = {run.readings[0].metric for run in runs}
    assert {metric.name for metric in seconds} == {"benchmark_seconds"}
    assert all(TIMER in metric.meaning for metric in seconds)
    # Every value fits the column of its axis.
    assert set(results_of(runs, (), ()).axes) >= set(_every_axis(suite))


@pytest.mark.real
def test_operations_do_what_they_say(suite: Suite) -> None:
    """The pinned tree has exactly the leaves asked for, and one call made room or found the prefix."""
    facts = {one["extra_info"]["cell"]: one["extra_info"]["metrics"] for one in suite.benchmarks.values()}
    assert facts["micro/pin/leaves=64"] == {"pinned_nodes": 64, "calls": 1}
    assert facts["micro/match/tokens=256"]["calls"] >= 1
    assert facts["micro/evict/leaves=64"]["calls"] >= 1
    assert facts["micro/evict/leaves=64"]["evictable_tokens"] == 64 * 32


@pytest.mark.real
def test_compare_fail_ends_with_an_error(suite: Suite, tmp_path: Path) -> None:
    """A planted earlier result that was far faster fails the run, names the benchmark, and no other."""

    def plant(one: dict[str, Any]) -> None:
        if one["name"] == f"test_drain[{FLOWING}]":
            one["stats"]["median"] /= 1_000

    earlier = edited(suite.file, tmp_path / "0001_earlier.json", plant)
    compared = run_suite(
        tmp_path,
        f"{CELLS}::test_drain[{FLOWING}]",
        f"{CELLS}::test_form_batch[{FLOWING}]",
        f"--benchmark-compare={earlier}",
        "--benchmark-compare-fail=median:2000%",
    )
    assert compared.exit_code != 0
    regressed = compared.output.partition("Performance has regressed")[2]
    assert f"test_drain[{FLOWING}]" in regressed, compared.output
    assert "test_form_batch" not in regressed


@pytest.mark.real
def test_everything_is_compared_in_groups(suite: Suite, tmp_path: Path) -> None:
    """The documented way to compare by an axis works on cells and micro-benchmarks at once."""
    compared = run_suite(
        tmp_path,
        GATE,
        "--accept-outcome=stalled",
        f"--benchmark-storage={suite.file.with_name('saved')}",
        "--benchmark-compare",
        "--benchmark-group-by=group,param:leave_pages",
    )
    assert compared.exit_code == 0, compared.output
    cells = {f"{phase} leave_pages={pages}" for phase in PHASES for pages in ("all", 128)}
    micro = {f"micro_{name} leave_pages=-" for name in ("pin", "match", "evict")}
    assert set(re.findall("benchmark '(.*)': ", compared.output)) == cells | micro
    assert f"test_drain[{FLOWING}] (0001_base)" in compared.output
    assert {tuple(one["params"]) for one in compared.benchmarks.values()} == {_every_axis(suite)}


def test_target_that_cannot_be_made_ready_fails_everything(tmp_path: Path) -> None:
    """Without a target there is still a file that says why, and nothing passes or is skipped."""
    broken = run_suite(tmp_path, GATE, f"--target=path:{tmp_path}/nothing")
    assert broken.exit_code == 1
    infos = [one["extra_info"] for one in broken.benchmarks.values()]
    # Four phases of two cells, and three sizes of three operations.
    assert [info["outcome"] for info in infos] == ["crashed"] * 17, broken.output
    assert all("nothing" in info["reason"] for info in infos)
    assert "17 failed" in broken.output


def test_long_ids_stay_names(tmp_path: Path) -> None:
    """A cell with free axes has a longer id than pytest takes by itself; its test has that name still."""
    grid = tmp_path / "free.toml"
    switches = "\n".join(f"server_args.a_switch_with_a_name_{number} = [1, 2]" for number in range(3))
    grid.write_text(f'[axes]\nworkload = ["bursts"]\n{switches}\n')
    collected = run_suite(tmp_path, CELLS, f"--grid={grid}", "--collect-only", "-q").output
    assert all(f"test_drain[{cell.id}]" in collected for cell in load_grid(str(grid)).cells)
    assert len(load_grid(str(grid)).cells[0].id) > 100


def test_projects_time_limit_is_lifted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No benchmark is cut off, and so missing in the file, by the project's limit, which other tests keep."""
    (tmp_path / "dawdling.py").write_text(DAWDLING)
    other = tmp_path / "test_other.py"
    other.write_text("def test_other():\n    pass\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ended = run_suite(
        tmp_path,
        "--config-file=pyproject.toml",
        "--override-ini=timeout=0.3",
        "-pdawdling",
        f"--target=path:{tmp_path}/nothing",
        f"{CELLS}::test_drain[{FLOWING}]",
        f"{MICRO}::test_pin_leaves[64]",
        str(other),
    )
    assert set(ended.benchmarks) == {f"test_drain[{FLOWING}]", "test_pin_leaves[64]"}, ended.output
    assert "2 failed, 1 error" in ended.output
    assert "ERROR at setup of test_other" in ended.output
    assert "Timeout (>0.3s)" in ended.output


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--grid=nosuch", "expected one of"),
        ("--target=nosuch", "expected release:"),
        ("--rounds=0", "--rounds"),
    ],
)
def test_bad_options_are_told(tmp_path: Path, option: str, told: str) -> None:
    """An option that makes no sense ends the run with pytest's usage error, before anything is booted."""
    bad = run_suite(tmp_path, CELLS, option)
    assert bad.exit_code == pytest.ExitCode.USAGE_ERROR
    assert told in bad.output


def _every_axis(suite: Suite) -> tuple[str, ...]:
    return every_axis(load_grid(str(suite.file.with_name("toy.toml"))))


def edited(source: Path, into: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Write a copy of a file of pytest-benchmark with a change to each benchmark."""
    document = json.loads(source.read_text())
    for one in document["benchmarks"]:
        change(one)
    into.write_text(json.dumps(document))
    return into
