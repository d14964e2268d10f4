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

from exhausters.asv_suite.measure import CACHE_VARIABLE
from exhausters.asv_suite.suite_grid import GRID_VARIABLE
from exhausters.sweep.record import DRAINED, OUTCOMES, STALLED
from exhausters.targets.cache import cache_root
from reports.load.load_results import load_results

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
# Another one, for what takes several runs.
ONE_CELL = """
name = "one"
[axes]
workload = ["long_context"]
page_size = [16]
"""
CHUNKS = "chunked_prefill.ChunkedPrefill.track_chunks"
OUTCOME = "outcomes.Outcomes.track_outcome"
LOG = "outcomes.Outcomes.track_decision_log"
CPU = "host_time.HostTime.track_scheduler_cpu_seconds"
# What asv may judge between builds: no host time, which differs from run to run.
EXACT = "chunked_prefill|eviction|retraction|outcomes"


@dataclass(frozen=True, kw_only=True)
class History:
    """A folder in which asv has run, and the commits it has run on."""

    folder: Path
    commits: dict[str, str]
    environ: dict[str, str]
    exit_code: int
    output: str

    def asv(self, *arguments: str, grid: str = "toy") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "asv", *arguments]
        # Other commands, and this test's own, may have left results of the same builds.
        environ = self.environ | {GRID_VARIABLE: str(self.folder / f"{grid}.toml"), CACHE_VARIABLE: "0"}
        return subprocess.run(
            command, cwd=self.folder, env=environ, capture_output=True, text=True, check=False
        )

    def records(self, commit: str, grid: str = "toy") -> Path:
        """The folder of a commit's records."""
        (folder,) = (self.folder / ".asv" / "records").glob(f"{grid}-*/{self.commits[commit]}")
        return folder

    def results(self, commit: str, grid: str = "toy") -> dict[str, Any]:
        """What asv has written about a commit, by benchmark: values by the name of the column."""
        (file,) = self.folder.glob(f".asv/results/*/{self.commits[commit][:8]}-*-{grid}-*.json")
        document = json.loads(file.read_text())
        return {
            name: dict(zip(document["result_columns"], row, strict=False))
            for name, row in document["results"].items()
        }

    def values(self, commit: str, benchmark: str) -> dict[tuple[str, ...], Any]:
        """A benchmark's values on a commit, by leave_pages and page_size."""
        benchmarks = json.loads((self.folder / ".asv/results/benchmarks.json").read_text())
        pages, refs, workloads, page_sizes, overlaps = benchmarks[benchmark]["params"]
        assert [len(axis) for axis in (refs, workloads, overlaps)] == [1, 1, 1]
        points = [(one, other) for one in pages for other in page_sizes]
        row = self.results(commit)[benchmark]["result"] or []
        # asv drops nulls at the end of a row.
        return dict(zip(points, [*row, *[None] * (len(points) - len(row))], strict=True))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    folder = tmp_path_factory.mktemp("asv")
    commits = plant_history(folder / "toy.git", version="0.5.23")
    write_configuration(folder, folder / "toy.git")
    (folder / "toy.toml").write_text(GRID)
    (folder / "one.toml").write_text(ONE_CELL)
    environ = {
        **os.environ,
        "EXHAUSTERS_CACHE": str(cache_root()),
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
    records = history.records("base") / "records.jsonl"
    told = [json.loads(line) for line in records.read_text().splitlines()]
    assert [one["reason"][:10] for one in told if one["outcome"] == STALLED] == ["no forward"]
    assert "no forward for" in history.output


def test_broken_commit_is_recorded_and_stops_nothing(history: History) -> None:
    """A commit that cannot be imported is null everywhere, with its reason; its neighbours are measured."""
    for benchmark in (CHUNKS, OUTCOME, LOG):
        assert set(history.values("broken", benchmark).values()) == {None}
    assert "no_such_module" in (history.records("broken") / "broken.txt").read_text()
    assert "no_such_module" in history.output
    assert history.exit_code == 2
    for neighbour in ("comment", "halved"):
        assert history.values(neighbour, CHUNKS)["'all'", "16"] > 0
        header = history.records(neighbour) / "sweep.json"
        assert json.loads(header.read_text())["complete"] is True


def test_compare_and_publish(history: History) -> None:
    """`asv compare` marks what a commit changed and nothing where none did; `asv publish` makes a site."""
    base, comment, halved = (history.commits[name] for name in ("base", "comment", "halved"))
    assert marked(history.asv("compare", "--only-changed", comment, halved)) >= {CHUNKS}
    assert not marked(history.asv("compare", "--only-changed", base, comment))
    published = history.asv("publish")
    assert published.returncode == 0, published.stderr
    assert (history.folder / ".asv" / "html" / "index.html").is_file()


def marked(done: subprocess.CompletedProcess[str]) -> set[str]:
    """Names of the benchmarks, but those of host time, that `asv compare` lists as changed."""
    assert done.returncode == 0, done.stderr
    names = {line.split("|")[-2].strip().split("(")[0] for line in done.stdout.splitlines() if "|" in line}
    return {name for name in names if ".track_" in name and not name.startswith("host_time")}


def test_reports_read_what_asv_wrote(history: History) -> None:
    """The report's cells are named as a sweep names them, and hold the outcome and digest of the records."""
    commit = history.commits["halved"]
    frame = load_results([history.folder / ".asv" / "results"]).frame
    ends = frame[(frame["commit"] == commit) & (frame["metric"] == "outcome")].astype({"cell": object})
    records = (history.records("halved") / "records.jsonl").read_text().splitlines()
    told = {one["cell"]: one for one in map(json.loads, records)}
    assert set(ends["cell"]) == set(told)
    for cell, outcome, digest in zip(ends["cell"], ends["outcome"], ends["decision_digest"], strict=True):
        assert outcome == told[cell]["outcome"]
        if outcome == DRAINED:
            assert told[cell]["decision_digest"].removeprefix("sha256:").startswith(digest)


def test_measured_commits_are_not_measured_again(history: History) -> None:
    """`--skip-existing` goes over a range and `HEAD^!` without sweeping what asv has."""
    files = [history.records(name) / "sweep.json" for name in ("comment", "halved")]
    before = [file.stat().st_mtime_ns for file in files]
    for wanted in ("HEAD^!", f"{history.commits['base']}..{history.commits['comment']}"):
        done = history.asv("run", "--skip-existing", wanted)
        assert done.returncode == 0, done.stdout
    assert [file.stat().st_mtime_ns for file in files] == before


def test_another_grid_leaves_the_first_alone(history: History) -> None:
    """A second grid has results and records of its own; its host time keeps a sample for each run."""
    before = history.results("halved"), history.records("halved")
    # Before the second run: what asv knows of the axes is that of its last grid.
    chunks = history.values("halved", CHUNKS)["'all'", "16"]
    for _ in range(2):
        done = history.asv("run", "--record-samples", "--append-samples", "HEAD^!", grid="one")
        assert done.returncode == 0, done.stdout
    assert (history.results("halved"), history.records("halved")) == before
    assert history.records("halved", "one").is_dir()
    found = history.results("halved", "one")
    assert len(found[CPU]["samples"][0]) == 2
    assert found[CHUNKS]["result"] == [chunks]


def test_continuous_tells_the_planted_change_only(history: History) -> None:
    """`asv continuous` ends with 1 between the planted change and its parent, and with 0 without a change."""
    base, comment, halved = (history.commits[name] for name in ("base", "comment", "halved"))
    changed = history.asv("continuous", "--bench", EXACT, comment, halved, grid="one")
    assert changed.returncode == 1, changed.stdout
    assert CHUNKS in changed.stdout
    assert LOG not in changed.stdout.partition("SIGNIFICANTLY")[2]
    same = history.asv("continuous", "--bench", EXACT, base, comment, grid="one")
    assert same.returncode == 0, same.stdout
    assert "NOT SIGNIFICANTLY CHANGED" in same.stdout
