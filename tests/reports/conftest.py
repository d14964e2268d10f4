"""Files that the real tools wrote: asv on a toy repository, pytest-benchmark on a toy suite."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ASV_SUITE = """
from exhausters.asv_suite.digest import digest_number


class Grid:
    params = [["shared_prefix", "agents"], ["all", 64, 16]]
    param_names = ["workload", "leave_pages"]

    def setup(self, workload, leave_pages):
        if workload == "agents" and leave_pages == "all":
            raise NotImplementedError("no such combination")

    def track_evicted_tokens(self, workload, leave_pages):
        if leave_pages == 16:
            raise ValueError("boom")
        return 5

    def track_step_cost(self, workload, leave_pages):
        return {"samples": [1.0, 2.0, 3.0], "number": 1}

    track_evicted_tokens.version = "digest1"
    track_step_cost.kind = "host_time"
    track_step_cost.unit = "ms"
    track_step_cost.higher_is_better = False


def share():
    return {16: 1, 64: 0}


class _Shared:
    params = [[64, 16]]
    param_names = ["leave_pages"]
    setup_cache = staticmethod(share)


class Ends(_Shared):
    def track_outcome(self, cells, leave_pages):
        return cells[leave_pages]

    def track_decision_log(self, cells, leave_pages):
        return None if cells[leave_pages] else digest_number("ff" * 32)

    track_outcome.unit = "code"
    track_outcome.cell_ids = ["agents/64", "agents/16"]
    track_decision_log.unit = "digest"


class Numbers(_Shared):
    def track_chunks(self, cells, leave_pages):
        return None if cells[leave_pages] else 3

    def track_recompute_tax(self, cells, leave_pages):
        return None if cells[leave_pages] else float("nan")


def time_plain():
    sum(range(100))


def track_always_fails():
    raise ValueError("boom")


def track_goodness():
    return 7

track_goodness.kind = "decision"
track_goodness.higher_is_better = True
"""
_ASV_CONFIG = {
    "version": 1,
    "project": "toy",
    "repo": ".",
    "environment_type": "existing",
    "benchmark_dir": "benchmarks",
    "results_dir": "results",
    "env_dir": "env",
    "html_dir": "html",
}
_BENCHMARK_SUITE = """
import pytest


@pytest.mark.parametrize(("workload", "leave_pages"), [("agents", 64), ("agents", "all")])
def test_cell(benchmark, workload, leave_pages):
    benchmark.extra_info["target"] = "release:0.5.23"
    benchmark.extra_info["target_commit"] = "a" * 40
    benchmark.extra_info["metrics"] = {"evicted_tokens": 5, "recompute_tax": None}
    benchmark.pedantic(lambda: sum(range(100)), rounds=5)


def test_raises(benchmark):
    def boom():
        raise ValueError("boom")

    benchmark(boom)
"""


def _run(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    names = {
        f"GIT_{who}_{what}": f"{who}@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    subprocess.run(
        command, cwd=folder, env=environment | names, check=False, capture_output=True, timeout=120
    )


@pytest.fixture(scope="session")
def asv_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy repository with one commit that asv has run on."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "__init__.py").touch()
    (folder / "benchmarks" / "toy.py").write_text(_ASV_SUITE)
    (folder / "asv.conf.json").write_text(json.dumps(_ASV_CONFIG))
    for command in (["git", "init", "-q", "."], ["git", "add", "."], ["git", "commit", "-qm", "first"]):
        _run(command, folder)
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    )
    asv = [sys.executable, "-m", "asv"]
    _run([*asv, "machine", "--yes"], folder)
    commit = found.stdout.strip()
    _run([*asv, "run", "--python=same", "--set-commit-hash", commit, "--record-samples", "--quick"], folder)
    return folder / "results"


@pytest.fixture
def asv_results(asv_once: Path, tmp_path: Path) -> Path:
    """A copy of what asv wrote, to be damaged at will."""
    return Path(shutil.copytree(asv_once, tmp_path / "asv_results"))


@pytest.fixture(scope="session")
def benchmark_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JSON file that pytest-benchmark wrote."""
    folder = tmp_path_factory.mktemp("toy_suite")
    (folder / "test_toy.py").write_text(_BENCHMARK_SUITE)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--benchmark-json=out.json",
        "test_toy.py",
    ]
    _run(command, folder)
    return folder / "out.json"


@pytest.fixture
def benchmark_json(benchmark_once: Path, tmp_path: Path) -> Path:
    """A copy of that file, to be damaged at will."""
    return Path(shutil.copy(benchmark_once, tmp_path / "benchmark.json"))
