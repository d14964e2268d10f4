"""Promises of the loader of sweeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exhausters.errors import ExhaustersError
from reports import load_results
from reports.errors import (
    DuplicateRunError,
    ForeignFileError,
    ResultFileError,
    SchemaVersionError,
    TruncatedFileError,
)
from tests.reports.make import BASE, HEAD, cells, record, write_pairs, write_records, write_sweep

DATA = Path(__file__).parents[1] / "data"


def test_real_sweeps_become_one_tidy_frame() -> None:
    """Every record, axis, metric and outcome that a real sweep wrote is in the frame, with its type."""
    results = load_results([DATA / "release_0.5.22", DATA / "release_0.5.23"])
    frame = results.frame
    runs = frame[frame["metric"] == "outcome"]
    lines = [
        json.loads(line)
        for path in sorted(DATA.glob("*/records.jsonl"))
        for line in path.read_text().splitlines()
    ]
    assert len(runs) == len(lines) == 8
    assert len(frame) == sum(1 + len(line["metrics"]) for line in lines)
    assert set(frame["suite"]) == {"sweep"}
    assert str(frame["leave_pages"].dtype) == "Int64"
    assert str(frame["overlap"].dtype) == "boolean"
    assert str(frame["date"].dtype).startswith("datetime64")
    assert frame["date"].dt.tz is not None
    for line in lines:
        rows = frame[(frame["cell"] == line["cell"]) & (frame["target"] == line["target"])]
        for name, value in line["metrics"].items():
            found = rows.loc[rows["metric"] == name, "value"].item()
            assert found == value or (value is None and found != found)
        left = line["levels"]["leave_pages"]
        assert rows["leave_pages"].isna().all() if left is None else (rows["leave_pages"] == left).all()


def test_directions_and_kinds_come_from_the_registry(tmp_path: Path) -> None:
    """Kind, unit and direction of a metric are the registry's, and an unknown metric is marked as such."""
    write_sweep(tmp_path, change=lambda one: one | {"metrics": {"retractions": 1, "new_thing": 2}})
    frame = load_results([tmp_path]).frame
    known = frame[frame["metric"] == "retractions"].iloc[0]
    assert (known["kind"], known["unit"], known["better"]) == ("decision", "requests", "lower")
    assert set(frame.loc[frame["metric"] == "new_thing", "kind"]) == {"unregistered"}


def test_a_failed_cell_stays_as_an_outcome(tmp_path: Path) -> None:
    """A cell without any metric has its row, its outcome and its reason."""
    lost = {"outcome": "crashed", "reason": "signal 11", "metrics": {}}
    write_sweep(tmp_path, change=lambda one: one | lost, grid=cells()[:1])
    frame = load_results([tmp_path]).frame
    assert frame[["metric", "outcome", "reason"]].astype(str).to_numpy().tolist() == [
        ["outcome", "crashed", "signal 11"]
    ]


def test_pairs_keep_round_order_and_target(tmp_path: Path) -> None:
    """Lines of a paired run carry their build, round and order, and samples behind a value count once."""

    def with_samples(one: dict[str, object]) -> dict[str, object]:
        return one | {"metrics": {}, "samples": {"scheduler_cpu_seconds": [3.0, 1.0, 2.0]}}

    write_pairs(tmp_path, cells()[:1], pairs=4, change=with_samples)
    frame = load_results([tmp_path]).frame
    rows = frame[frame["metric"] == "scheduler_cpu_seconds"]
    assert rows["value"].tolist() == [2.0] * 8
    assert rows["samples"].tolist() == [(3.0, 1.0, 2.0)] * 8
    assert rows["order"].tolist() == ["AB", "AB", "BA", "BA", "AB", "AB", "BA", "BA"]
    assert set(rows["target"]) == {BASE, HEAD}
    assert set(rows["version"]) == {"0.5.22", "0.5.23"}


@pytest.mark.parametrize("keep", [1, 30, 400, -2])
def test_a_truncated_record_is_an_error(tmp_path: Path, keep: int) -> None:
    """A records file that was cut anywhere in its last line is refused with file and line."""
    path = write_sweep(tmp_path, grid=cells()[:2]) / "records.jsonl"
    first, second = path.read_text().splitlines()
    path.write_text(first + "\n" + second[:keep])
    with pytest.raises(TruncatedFileError, match=r"records.jsonl:2"):
        load_results([tmp_path])


def test_a_truncated_header_is_an_error(tmp_path: Path) -> None:
    """A header that was cut is refused."""
    path = write_sweep(tmp_path) / "sweep.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(TruncatedFileError, match=r"sweep.json"):
        load_results([tmp_path])


def test_mixed_schema_versions_are_an_error(tmp_path: Path) -> None:
    """One line of another schema in a sweep, or a whole sweep of it, is refused with both versions."""
    records = [record(cell) for cell in cells()[:2]]
    write_records(tmp_path / "a", [records[0], records[1] | {"schema": 99}], cells=2)
    with pytest.raises(SchemaVersionError, match=r"records.jsonl:2: schema 99"):
        load_results([tmp_path / "a"])
    write_records(tmp_path / "b", [], cells=0, schema=99)
    with pytest.raises(SchemaVersionError, match="schema 99"):
        load_results([tmp_path / "b"])


def test_an_unknown_axis_is_an_error(tmp_path: Path) -> None:
    """An axis this harness does not know is refused: two cells could differ in nothing else."""
    write_sweep(tmp_path, change=lambda one: one | {"engine": {**one["engine"], "moon_phase": 3}})
    with pytest.raises(SchemaVersionError, match="moon_phase"):
        load_results([tmp_path])


def test_duplicate_cells_are_an_error(tmp_path: Path) -> None:
    """The same cell twice for one build and round is refused, with the line of the first."""
    write_records(tmp_path, [record(cells()[0]), record(cells()[0])], cells=1)
    with pytest.raises(DuplicateRunError, match="line 1"):
        load_results([tmp_path])


@pytest.mark.parametrize(
    "change",
    [{"outcome": "fine"}, {"metrics": None}, {"order": "CD"}, {"engine": 3}],
)
def test_a_foreign_record_is_an_error(tmp_path: Path, change: dict[str, object]) -> None:
    """A line that is JSON but no record is refused with file and line."""
    write_sweep(tmp_path, change=lambda one: one | change)
    with pytest.raises(ForeignFileError, match=r"records.jsonl:1"):
        load_results([tmp_path])


def test_foreign_files(tmp_path: Path) -> None:
    """A foreign file named directly is an error; one that lies among results is counted."""
    (tmp_path / "other.json").write_text('{"hello": 1}')
    with pytest.raises(ForeignFileError, match=r"other\.json"):
        load_results([tmp_path / "other.json"])
    write_sweep(tmp_path / "sweep")
    results = load_results([tmp_path])
    assert [one.place for one in results.skipped] == [str(tmp_path / "other.json")]


def test_nothing_there_is_an_error(tmp_path: Path) -> None:
    """A path without results, or no path at all, is refused: no data is never a pass."""
    with pytest.raises(ForeignFileError, match="holds no results"):
        load_results([tmp_path])
    with pytest.raises(ResultFileError, match="no such file"):
        load_results([tmp_path / "nowhere"])


def test_a_path_named_twice_is_loaded_once_and_reported(tmp_path: Path) -> None:
    """Naming a folder twice does not double its rows, and is counted."""
    write_sweep(tmp_path)
    once, twice = load_results([tmp_path]), load_results([tmp_path, tmp_path])
    assert len(once.frame) == len(twice.frame)
    assert [one.reason for one in twice.skipped] == ["named twice"]


def test_errors_have_one_root() -> None:
    """Whoever catches the project's root error catches every error of the reports."""
    import reports.errors as tree

    classes = [one for one in vars(tree).values() if isinstance(one, type)]
    assert classes
    assert all(issubclass(one, ExhaustersError) for one in classes)
