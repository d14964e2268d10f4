"""The cache of exact results, through the executor, on fake hosts."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exhausters.asv_suite import measure
from exhausters.asv_suite.state import TargetState
from exhausters.asv_suite.suite_grid import GRID_VARIABLE
from exhausters.engine.api import ImportedSources
from exhausters.errors import CacheError, WorkerCrashedError
from exhausters.observe.metrics import HOST, METRICS
from exhausters.sweep import cache_key, workers
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.grid import Grid
from exhausters.sweep.record import CACHED_FROM, DRAINED, RunRecord
from exhausters.sweep.result_cache import ResultCache
from exhausters.sweep.run_options import RunOptions
from exhausters.sweep.runner import SweepOptions, sweep
from exhausters.targets import PreparedTarget
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_grid, a_target

_OPTIONS = SweepOptions(run=RunOptions(count_work=False))
_GRID = a_grid(leave_pages=["all", 64], page_size=[8, 16])
_CELLS, _BOOTS = 4, 2


def _sources(target: PreparedTarget) -> ImportedSources:
    text = (target.source_dirs[0] / "sglang.py").read_bytes()
    return ImportedSources(files={"sglang.py": hashlib.sha256(text).hexdigest()})


@pytest.fixture(autouse=True)
def _fake_hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    FakeHost.made.clear()
    monkeypatch.setattr(workers, "Host", FakeHost)
    monkeypatch.setattr(FakeHost, "sources_of", staticmethod(_sources))
    yield
    FakeHost.made.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results"


def _build(folder: Path, version: str, text: str = "imported") -> PreparedTarget:
    """A target of one imported file, and one that is not imported."""
    (folder / version).mkdir(exist_ok=True)
    (folder / version / "sglang.py").write_text(text)
    (folder / version / "other.py").write_text(version)
    return replace(a_target(version), source_dirs=(folder / version,))


def _sweep(
    target: PreparedTarget, folder: Path, *, grid: Grid = _GRID, verify: int = 0, options: Any = _OPTIONS
) -> tuple[tuple[RunRecord, ...], int]:
    """Sweep with the cache; return the records, and how many hosts were booted."""
    before = len(FakeHost.made)
    cache = ResultCache(folder, verify=verify)
    return sweep(target, grid, options, executor=LocalExecutor(1, cache=cache)), len(FakeHost.made) - before


def test_a_build_with_the_same_imported_files_boots_nothing(tmp_path: Path, folder: Path) -> None:
    """Its records have the first build's decisions and exact metrics, and say where they are from."""
    first, booted = _sweep(_build(tmp_path, "1.0"), folder)
    assert booted == _BOOTS
    second, booted = _sweep(_build(tmp_path, "2.0"), folder)
    assert booted == 0
    assert [one.cell for one in second] == [one.cell for one in first]
    for ours, theirs in zip(first, second, strict=True):
        assert theirs.target == "release:2.0"
        assert theirs.result.provenance[CACHED_FROM] == "release:1.0"
        assert theirs.result.log == ours.result.log
        assert theirs.result.facts == ours.result.facts
        exact = {name: one for name, one in ours.result.metrics.items() if METRICS[name].kind != HOST}
        assert theirs.result.metrics == exact
        assert exact != ours.result.metrics
        assert CACHED_FROM not in ours.result.provenance


def test_a_changed_file_is_run(tmp_path: Path, folder: Path) -> None:
    """A build that imports another file is booted, and both builds' results stay in the cache."""
    _sweep(_build(tmp_path, "1.0"), folder)
    assert _sweep(_build(tmp_path, "2.0", "changed"), folder)[1] == _BOOTS
    assert _sweep(_build(tmp_path, "1.0"), folder)[1] == 0
    assert _sweep(_build(tmp_path, "2.0", "changed"), folder)[1] == 0


def test_only_missing_cells_are_run(tmp_path: Path, folder: Path) -> None:
    """A larger grid takes the cells it shares from the cache and boots for the others."""
    _sweep(_build(tmp_path, "1.0"), folder, grid=a_grid(leave_pages=["all"], page_size=[8]))
    records, booted = _sweep(_build(tmp_path, "1.0"), folder)
    assert sum(CACHED_FROM in one.result.provenance for one in records) == 1
    assert booted == _BOOTS


@pytest.mark.parametrize("change", ["options", "environment", "harness"])
def test_other_conditions_are_run(
    tmp_path: Path, folder: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other limits, another environment, or other code of the harness takes nothing from the cache."""
    target, options = _build(tmp_path, "1.0"), _OPTIONS
    _sweep(target, folder)
    if change == "options":
        limits = replace(RunOptions().limits, max_steps=40_000)
        options = SweepOptions(run=RunOptions(count_work=False, limits=limits))
    elif change == "environment":
        target = replace(target, environment_key="other")
    else:
        monkeypatch.setattr(cache_key, "harness_digest", lambda: "other")
    assert _sweep(target, folder, options=options)[1] == _BOOTS


def test_what_only_shows_or_chooses_is_no_other_harness() -> None:
    """A night's scan goes on after a change of a report or of a grid, and not after one of what measures."""
    files = cache_key.harness_files()
    assert {"scripted/context.py", "observe/metrics.py", "observe/roofline.toml"} <= files.keys()
    assert {"worker/host.py", "errors.py"} <= files.keys()
    first = {name.partition("/")[0] for name in files}
    assert first.isdisjoint({"cli", "compare", "check", "fuzz", "why", "scan", "golden", "bisect", "growth"})
    assert not [name for name in files if name.startswith("sweep/grids/")]


def test_a_failure_is_not_kept(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell whose worker crashed is run again."""

    def crash(args: Any) -> None:
        raise WorkerCrashedError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(FakeHost, "on_run", staticmethod(crash))
        _sweep(_build(tmp_path, "1.0"), folder)
    records, booted = _sweep(_build(tmp_path, "1.0"), folder)
    assert {one.result.outcome for one in records} == {DRAINED}
    assert booted == _BOOTS


def test_an_engine_that_reports_no_files_is_never_cached(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a run depended on must be known."""
    monkeypatch.setattr(FakeHost, "sources_of", staticmethod(lambda target: ImportedSources(files={})))
    _sweep(_build(tmp_path, "1.0"), folder)
    assert _sweep(_build(tmp_path, "1.0"), folder)[1] == _BOOTS


def test_a_file_changed_after_its_import_is_not_cached(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result is kept for the files that the worker imported, not for those that replaced them."""
    stale = ImportedSources(files={"sglang.py": "0" * 64})
    monkeypatch.setattr(FakeHost, "sources_of", staticmethod(lambda target: stale))
    _sweep(_build(tmp_path, "1.0"), folder)
    assert not list(folder.rglob("*.gz"))


def test_verified_cells_are_run_and_agree(tmp_path: Path, folder: Path) -> None:
    """`verify` runs as many cached cells as it says; the records are those of the runs."""
    _sweep(_build(tmp_path, "1.0"), folder)
    records, booted = _sweep(_build(tmp_path, "2.0"), folder, verify=_CELLS)
    assert booted == _BOOTS
    assert not any(CACHED_FROM in one.result.provenance for one in records)
    records, booted = _sweep(_build(tmp_path, "2.0"), folder, verify=1)
    assert sum(CACHED_FROM in one.result.provenance for one in records) == _CELLS - 1
    assert booted == 1


def test_a_cached_result_that_a_run_does_not_confirm_is_an_error(tmp_path: Path, folder: Path) -> None:
    """A wrong entry is found by verifying, named with its cell and what differs; no worker is left."""
    _sweep(_build(tmp_path, "1.0"), folder)
    for path in (folder / "runs").rglob("*.gz"):
        text = gzip.decompress(path.read_bytes())
        wrong = text.replace(b'"steps_to_drain": ', b'"steps_to_drain": 9')
        assert wrong != text
        path.write_bytes(gzip.compress(wrong))
    with pytest.raises(CacheError, match=r"bursts/.* measured on release:1\.0.*steps_to_drain 9"):
        _sweep(_build(tmp_path, "2.0"), folder, verify=1)
    assert all(host.closed for host in FakeHost.made)


@pytest.mark.parametrize("place", ["runs", "sources"])
def test_a_broken_entry_is_none(tmp_path: Path, folder: Path, place: str) -> None:
    """A file that was cut off, as by a full disk, is run again and written anew."""
    _sweep(_build(tmp_path, "1.0"), folder)
    for path in (folder / place).rglob("*.gz"):
        path.write_bytes(path.read_bytes()[:20])
    assert _sweep(_build(tmp_path, "1.0"), folder)[1] == _BOOTS
    assert _sweep(_build(tmp_path, "1.0"), folder)[1] == 0


def test_a_cache_that_cannot_be_written_costs_no_record(tmp_path: Path, folder: Path) -> None:
    """The sweep goes on as if there were no cache."""
    folder.write_text("a file, where a folder is wanted")
    records, booted = _sweep(_build(tmp_path, "1.0"), folder)
    assert {one.result.outcome for one in records} == {DRAINED}
    assert booted == _BOOTS


def test_the_oldest_is_deleted_beyond_the_limit(tmp_path: Path, folder: Path) -> None:
    """After a sweep the cache is no larger than its limit, and no scratch file is left."""
    _sweep(_build(tmp_path, "1.0"), folder)
    sizes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    ResultCache(folder, limit_bytes=sizes - 1).prune()
    left = [path for path in folder.rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in left) < sizes
    assert all(path.name.endswith(".json.gz") and not path.name.startswith(".") for path in left)


def test_two_sweeps_at_once_share_a_cache(tmp_path: Path, folder: Path) -> None:
    """Whoever writes an entry first, each is whole: all of it is read afterwards, and no scratch is left."""
    target = _build(tmp_path, "1.0")
    with ThreadPoolExecutor(4) as pool:
        swept = list(pool.map(lambda number: _sweep(target, folder)[0], range(4)))
    assert all(one.result.outcome == DRAINED for records in swept for one in records)
    assert _sweep(target, folder)[1] == 0
    assert not list(folder.rglob(".*"))


def test_asv_takes_a_commit_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a range, a commit that imports the same files as an earlier one boots nothing."""
    (tmp_path / "grid.toml").write_text('[axes]\nworkload = ["bursts"]\n')
    monkeypatch.setenv("EXHAUSTERS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ASV_CONF_DIR", str(tmp_path))
    monkeypatch.setenv(GRID_VARIABLE, str(tmp_path / "grid.toml"))
    monkeypatch.setattr(measure, "prepare", lambda text: _build(tmp_path, text.rpartition("@")[2]))
    found = []
    for commit in ("1.0", "2.0"):
        monkeypatch.setattr(
            TargetState, "read", classmethod(lambda cls, one=commit: cls(repository="/r", commit=one))
        )
        found.append(measure.measure_commit())
    assert len(FakeHost.made) == 1
    first, second = (next(iter(cells.values())) for cells in found)
    assert first.decision_digest == second.decision_digest
    assert second.metrics.items() <= first.metrics.items()
