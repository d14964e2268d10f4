"""Plants are compared with one run of the release, two at a time; on fake workers."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.trust.compare_plants import compare_plants, reach_in
from benchmarks.trust.results import judge_plant, tables_of
from exhausters.progress import ShownProgress
from exhausters.sweep import workers
from exhausters.sweep.read_records import read_records
from exhausters.targets import PreparedTarget
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_grid, a_target
from tests.trust.samples import a_plant

GRID = a_grid(leave_pages=["all", 64])


class FakeTree:
    """Copies whose one source file is what was planted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.planted_codes: list[str] = []

    @contextmanager
    def planted(self, file: str, code: str, values: Mapping[str, int]) -> Iterator[PreparedTarget]:
        self.planted_codes.append(code)
        path = self._folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
        yield replace(a_target("0.5.24"), source_dirs=(self._folder,), name=f"path:{self._folder}")


@pytest.fixture(name="release")
def _release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PreparedTarget]:
    FakeHost.made.clear()
    monkeypatch.setattr(workers, "Host", FakeHost)
    (tmp_path / "release" / "sglang" / "srt").mkdir(parents=True)
    (tmp_path / "release" / "sglang" / "srt" / "a.py").write_text("x = 0\n")
    yield replace(a_target(), source_dirs=(tmp_path / "release",))
    assert all(host.closed for host in FakeHost.made)
    FakeHost.made.clear()


def _compare(release: PreparedTarget, trees: list[Any], folder: Path, *names: str) -> list[str]:
    said: list[str] = []
    compare_plants(
        [a_plant(name=name, code=f"def {name}():\n    return 1\n") for name in names],
        release=release,
        trees=trees,
        grid=GRID,
        values={},
        folder=folder,
        progress=ShownProgress(Console(file=io.StringIO())),
        say=said.append,
    )
    return said


def test_the_release_is_run_once_for_all_plants(release: PreparedTarget, tmp_path: Path) -> None:
    """Each plant has the records of both builds in its folder; a second command runs what is missing."""
    trees = [FakeTree(tmp_path / "one"), FakeTree(tmp_path / "two")]
    assert len(_compare(release, trees, tmp_path / "out", "a", "b", "c")) == 3
    assert len(FakeHost.made) == 4
    for name in ("a", "b", "c"):
        for side in ("base", "head"):
            stored = read_records(tmp_path / "out" / name / side)
            assert stored.is_complete
            assert len(stored.records) == len(GRID.cells)
    (said,) = _compare(release, trees, tmp_path / "out", "a", "b", "c", "d")
    assert "4 of 4: d" in said
    assert len(FakeHost.made) == 5
    assert sum(len(one.planted_codes) for one in trees) == 4


def test_what_nothing_executed_is_unreached_in_the_table(release: PreparedTarget, tmp_path: Path) -> None:
    """The fake executes no line of the sources, so a planted function is not reached in either direction."""
    plant = a_plant(name="a", code="def a():\n    return 1\n", expect=("unreached",), reverse=("unreached",))
    _compare(release, [FakeTree(tmp_path / "one")], tmp_path / "out" / "plants", "a")
    reach = reach_in(tmp_path / "out" / "plants" / "a")
    assert reach is not None
    assert reach.is_nothing_reached
    assert judge_plant(plant, tmp_path / "out" / "plants" / "a").faults == ()
    tables = tables_of(tmp_path / "out", [plant], GRID, release.name, 1)
    assert "1 plants, each in both directions: 1 right, 0 wrong." in tables
    assert tables.count("Not run.") == 2
