"""asv itself over a short history of the real scheduler; minutes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exhausters.asv_suite.grid import GRID_VARIABLE
from exhausters.sweep.record import DRAINED, OUTCOMES, STALLED
from exhausters.targets.cache import cache_root

from .toy import plant_history, write_configuration

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]

GRID = """
name = "toy"
[axes]
# 128 pages of one token cannot hold any of the prompts: that cell stalls.
workload = ["long_context"]
leave_pages = ["all", 128]
page_size = [1, 16]
"""
CHUNKS = "chunked_prefill.ChunkedPrefill.track_chunks"
OUTCOME = "outcomes.Outcomes.track_outcome"
LOG = "outcomes.Outcomes.track_decision_log"


@dataclass(frozen=True, kw_only=True)
class History:
    """A folder in which asv has run, and the commits it has run on."""

    folder: Path
    commits: dict[str, str]
    environ: dict[str, str]
    exit_code: int
    output: str

    def asv(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "asv", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False
        )

    def values(self, commit: str, benchmark: str) -> dict[tuple[str, ...], Any]:
        """A benchmark's values on a commit, by leave_pages and page_size."""
        (file,) = self.folder.glob(f".asv/results/*/{self.commits[commit][:8]}-*.json")
        results = json.loads(file.read_text())["results"]
        benchmarks = json.loads((self.folder / ".asv/results/benchmarks.json").read_text())
        pages, refs, workloads, page_sizes, overlaps = benchmarks[benchmark]["params"]
        assert [len(axis) for axis in (refs, workloads, overlaps)] == [1, 1, 1]
        points = [(one, other) for one in pages for other in page_sizes]
        row = results[benchmark][0] or []
        # asv drops nulls at the end of a row.
        return dict(zip(points, [*row, *[None] * (len(points) - len(row))], strict=True))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    folder = tmp_path_factory.mktemp("asv")
    commits = plant_history(folder / "toy.git", version="0.5.23")
    write_configuration(folder, folder / "toy.git")
    (folder / "toy.toml").write_text(GRID)
    environ = {
        **os.environ,
        "EXHAUSTERS_CACHE": str(cache_root()),
        GRID_VARIABLE: str(folder / "toy.toml"),
        "HOME": str(folder),  # asv keeps what it knows of the machine there
    }
    unstarted = History(folder=folder, commits=commits, environ=environ, exit_code=0, output="")
    unstarted.asv("machine", "--yes")
    done = unstarted.asv("run", "ALL", "--show-stderr")
    yield History(
        folder=folder,
        commits=commits,
        environ=environ,
        exit_code=done.returncode,
        output=done.stdout + done.stderr,
    )
    for commit in commits.values():  # a few hundred megabytes each
        shutil.rmtree(cache_root() / "commits" / commit, ignore_errors=True)


def test_planted_change_is_shown_in_its_commit_and_cells(history: History) -> None:
    """The commit that halves the chunk budget shows more chunks with page size 16, and only there."""
    large_pages = {("'all'", "16"), ("128", "16")}
    base, halved = (history.values(name, CHUNKS) for name in ("base", "halved"))
    assert {point for point in base if base[point] != halved[point]} == large_pages
    assert all(halved[point] > base[point] for point in large_pages)
    base, halved = (history.values(name, LOG) for name in ("base", "halved"))
    assert {point for point in base if base[point] != halved[point]} == large_pages


def test_commit_without_a_change_shows_none(history: History) -> None:
    """A commit that changes a comment has exactly the values of its parent, in every cell."""
    for benchmark in (CHUNKS, OUTCOME, LOG):
        assert history.values("comment", benchmark) == history.values("base", benchmark)


def test_stalled_cell_is_recorded_as_such(history: History) -> None:
    """A cell that stalls has that outcome, no number that could be compared, and a reason on record."""
    stalled = ("128", "1")
    for name in ("base", "comment", "halved"):
        outcomes = history.values(name, OUTCOME)
        assert outcomes.pop(stalled) == OUTCOMES.index(STALLED)
        assert set(outcomes.values()) == {OUTCOMES.index(DRAINED)}
        chunks = history.values(name, CHUNKS)
        assert [point for point, value in chunks.items() if value is None] == [stalled]
    records = history.folder / ".asv" / "records" / history.commits["base"] / "records.jsonl"
    told = [json.loads(line) for line in records.read_text().splitlines()]
    assert [one["reason"][:10] for one in told if one["outcome"] == STALLED] == ["no forward"]
    assert "no forward for" in history.output


def test_broken_commit_is_recorded_and_stops_nothing(history: History) -> None:
    """A commit that cannot be imported is null everywhere, with its reason; its neighbours are measured."""
    for benchmark in (CHUNKS, OUTCOME, LOG):
        assert set(history.values("broken", benchmark).values()) == {None}
    reason = history.folder / ".asv" / "records" / history.commits["broken"] / "broken.txt"
    assert "no_such_module" in reason.read_text()
    assert "no_such_module" in history.output
    assert history.exit_code == 2
    for neighbour in ("comment", "halved"):
        assert history.values(neighbour, CHUNKS)["'all'", "16"] > 0
        records = history.folder / ".asv" / "records" / history.commits[neighbour]
        assert json.loads((records / "sweep.json").read_text())["complete"] is True


def test_asvs_own_commands_work(history: History) -> None:
    """`asv compare` tells the planted change and `asv publish` makes a site of the range."""
    compared = history.asv("compare", history.commits["comment"], history.commits["halved"])
    assert compared.returncode == 0
    assert "track_chunks" in compared.stdout
    published = history.asv("publish")
    assert published.returncode == 0, published.stderr
    assert (history.folder / ".asv" / "html" / "index.html").is_file()
