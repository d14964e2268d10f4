"""A release against itself, and the power of pairs, on fake workers: what is kept, and that it goes on."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.trust import power
from benchmarks.trust.against_itself import PAIRS, compare_with_itself
from benchmarks.trust.power import measure_power
from benchmarks.trust.tables import against_itself_table, power_table
from exhausters.progress import ShownProgress
from exhausters.sweep import workers
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_grid, a_target
from tests.trust.test_compare_plants import FakeTree

GRID = a_grid(leave_pages=["all", 64])


@pytest.fixture(autouse=True)
def _fake_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    FakeHost.made.clear()
    monkeypatch.setattr(workers, "Host", FakeHost)
    yield
    assert all(host.closed for host in FakeHost.made)
    FakeHost.made.clear()


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_comparisons_with_itself_go_on_where_they_stopped(
    tmp_path: Path,
) -> None:
    """Each is a line as it ends, pairs are taken although nothing differs, and none is run twice."""
    said: list[str] = []

    def run(count: int) -> None:
        compare_with_itself(
            count,
            1,
            release=a_target(),
            copy=replace(a_target(), name="path:copy"),
            cells=GRID.cells,
            folder=tmp_path,
            progress=ShownProgress(Console(file=io.StringIO())),
            say=said.append,
        )

    run(2)
    boots = 2 + 2 * PAIRS
    assert 2 * boots <= len(FakeHost.made) <= 2 * (boots + 2 * PAIRS), "and as many again for more pairs"
    run(3)
    run(3)
    found = _lines(tmp_path / "against_itself.jsonl")
    assert [one["key"] for one in found] == ["0", "1", "2"]
    assert len(said) == 3
    # The fake's decisions are exact; its times are those of this machine.
    assert all(one["exact_alarms"] == 0 for one in found)
    assert all(one["pairs"] >= 10 and one["cell_tests"] > 0 for one in found)
    assert not (tmp_path / "against_itself").exists()
    assert "| all | 3 | 0 |" in against_itself_table(found)


def test_the_power_curve_judges_each_block_of_pairs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Twenty pairs are two blocks of ten and one of twenty, for each size; none is run twice."""
    monkeypatch.setattr(power, "SESSIONS", 1)
    monkeypatch.setattr(power, "SESSION_PAIRS", 20)
    monkeypatch.setattr(power, "PERCENTS", (5, 20))
    tree, said = FakeTree(tmp_path / "tree"), list[str]()
    for _ in range(2):
        measure_power(
            release=a_target(),
            tree=tree,
            cells=GRID.cells[:1],
            values={},
            folder=tmp_path,
            progress=ShownProgress(Console(file=io.StringIO())),
            say=said.append,
        )
    found = _lines(tmp_path / "power.jsonl")
    assert [one["percent"] for one in found] == [5, 20]
    assert len(said) == 2
    for one in found:
        assert len(one["found_10"]) == len(one["asv_10"]) == len(one["pytest_benchmark_10"]) == 2
        assert len(one["found_20"]) == 1
    assert power_table(found).count("\n") == 5
