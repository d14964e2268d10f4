"""A sweep's folder: written as it comes, read back as it was, refused when it is something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exhausters.errors import StoreError, UsageError
from exhausters.observe.decision_log import DecisionLog
from exhausters.sweep.record import SCHEMA_VERSION, STALLED
from exhausters.sweep.store import HEADER_NAME, LOGS_NAME, RECORDS_NAME, SweepWriter, read_sweep
from tests.sweep.samples import a_grid, a_record, a_target

_GRID = a_grid(leave_pages=["all", 3])


def _write(folder: Path) -> None:
    with SweepWriter(folder, target=a_target(), grid=_GRID) as writer:
        writer.add(a_record(_GRID.cells[0], steps_to_drain=7, recompute_tax=None))
        writer.add(a_record(_GRID.cells[1], outcome=STALLED, reason="nothing runs"))
        writer.finish()


def test_round_trip(tmp_path: Path) -> None:
    """Header, records and logs come back as they were written."""
    _write(tmp_path / "out")
    found = read_sweep(tmp_path / "out")
    assert found.header["complete"] is True
    assert found.header["grid_digest"] == _GRID.digest
    assert found.header["cells"] == 2
    assert found.header["target"] == "release:0.5.23"
    drained, stalled = found.records
    assert drained["cell"] == _GRID.cells[0].id
    assert drained["metrics"] == {"steps_to_drain": 7, "recompute_tax": None}
    assert drained["levels"]["leave_pages"] is None
    assert drained["engine"]["page_size"] == 16
    assert (stalled["outcome"], stalled["reason"]) == ("stalled", "nothing runs")
    assert stalled["levels"]["leave_pages"] == 3
    log = DecisionLog.read(found.folder / stalled["log"])
    assert log.digest == stalled["decision_digest"]


def test_an_interrupted_sweep_is_incomplete(tmp_path: Path) -> None:
    """What was written before an interruption stays, and the header says that it is not all."""

    def interrupted() -> None:
        with SweepWriter(tmp_path, target=a_target(), grid=_GRID) as writer:
            writer.add(a_record(_GRID.cells[0]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    found = read_sweep(tmp_path)
    assert found.header["complete"] is False
    assert len(found.records) == 1


def test_records_can_be_read_while_the_sweep_runs(tmp_path: Path) -> None:
    """Each record is on disk as soon as it was added."""
    with SweepWriter(tmp_path, target=a_target(), grid=_GRID) as writer:
        writer.add(a_record(_GRID.cells[0]))
        assert len(read_sweep(tmp_path).records) == 1


def test_a_sweep_replaces_an_earlier_one(tmp_path: Path) -> None:
    """Sweeping into the same folder again leaves nothing of the earlier sweep."""
    _write(tmp_path)
    with SweepWriter(tmp_path, target=a_target(), grid=_GRID):
        pass
    assert read_sweep(tmp_path).records == []
    assert list((tmp_path / LOGS_NAME).iterdir()) == []


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    """A folder with anything else in it, or a file, is refused and left as it was."""
    (tmp_path / "thesis.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(UsageError, match="expected an empty folder or an earlier sweep"):
            SweepWriter(place, target=a_target(), grid=_GRID)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_no_sweep(tmp_path: Path) -> None:
    """A folder without a sweep is a StoreError that names it."""
    with pytest.raises(StoreError, match="holds no readable sweep"):
        read_sweep(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff"])
def test_an_unreadable_header(tmp_path: Path, content: bytes) -> None:
    """A header that is no JSON table is a StoreError."""
    _write(tmp_path)
    (tmp_path / HEADER_NAME).write_bytes(content)
    with pytest.raises(StoreError, match="holds no readable sweep"):
        read_sweep(tmp_path)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    """Results of another schema are not read as if they were ours."""
    _write(tmp_path)
    header = json.loads((tmp_path / HEADER_NAME).read_text())
    (tmp_path / HEADER_NAME).write_text(json.dumps({**header, "schema": SCHEMA_VERSION + 1}))
    with pytest.raises(StoreError, match=f"schema {SCHEMA_VERSION + 1}, this harness reads {SCHEMA_VERSION}"):
        read_sweep(tmp_path)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    """A record that was cut off is told by file and line."""
    _write(tmp_path)
    path = tmp_path / RECORDS_NAME
    path.write_text(path.read_text()[:-20])
    with pytest.raises(StoreError, match=rf"{RECORDS_NAME}:2: broken line"):
        read_sweep(tmp_path)
