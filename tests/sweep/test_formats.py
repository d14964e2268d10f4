"""Folders of earlier formats are read; those of later ones are refused. `data/format_1` is of a real run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from exhausters.errors import StoreError, UsageError
from exhausters.sweep.facts import resummarize
from exhausters.sweep.read_records import read_records
from exhausters.sweep.record import DRAINED
from exhausters.sweep.record_files import FORMAT_VERSION, HEADER_NAME, RECORDS_NAME
from exhausters.sweep.resume import resumed_writer
from exhausters.sweep.runner import SweepOptions
from exhausters.sweep.store import sweep_writer
from reports.errors import SchemaVersionError
from reports.load.sweep import load_sweep
from tests.sweep.samples import a_grid, a_record, a_target

_FORMAT_1 = Path(__file__).parent / "data" / "format_1"
# Before headers named their kind and lines named facts.
_OLDEST = Path(__file__).parents[1] / "reports" / "data" / "release_0.5.23"


def test_the_previous_format_is_read() -> None:
    """Records, logs and facts come back; metrics can be computed from them again, to the values stored."""
    found = read_records(_FORMAT_1)
    assert "format" not in json.loads((_FORMAT_1 / HEADER_NAME).read_text())
    assert found.header["format"] == FORMAT_VERSION
    assert found.is_complete
    assert [one.result.outcome for one in found.records] == [DRAINED, DRAINED]
    assert [len(one.result.log) for one in found.records] == [30, 67]
    for record in found.records:
        again = resummarize(record)
        assert again["evicted_tokens"] == record.result.metrics["evicted_tokens"]
        assert again["steps_to_drain"] == record.result.metrics["steps_to_drain"] == len(record.result.log)


def test_the_oldest_headers_get_what_they_did_not_say() -> None:
    """A header without kind and runs is one of a sweep with a run for each cell."""
    found = read_records(_OLDEST)
    assert (found.header["kind"], found.header["runs"], found.header["format"]) == ("sweep", 4, 2)


def test_reports_read_both_formats(tmp_path: Path) -> None:
    """The same session and runs, whichever format the folder has."""
    grid = a_grid(leave_pages=["all", 3])
    with sweep_writer(tmp_path / "new", target=a_target(), grid=grid) as writer:
        for cell in grid.cells:
            writer.add(a_record(cell))
        writer.finish()
    for folder in (tmp_path / "new", _FORMAT_1):
        session, runs = load_sweep(folder)
        assert (session.expected_cells, session.complete, len(runs)) == (2, True, 2)


@pytest.mark.parametrize("newer", [FORMAT_VERSION + 1, "2", 0])
def test_a_newer_format_is_refused(tmp_path: Path, newer: object) -> None:
    """Nobody guesses what it means; the error says which harness wrote it."""
    folder = tmp_path / "copy"
    shutil.copytree(_FORMAT_1, folder)
    header = json.loads((folder / HEADER_NAME).read_text())
    (folder / HEADER_NAME).write_text(json.dumps({**header, "format": newer, "harness_version": "9.9"}))
    with pytest.raises(StoreError, match=r"this harness reads 1 to 2: .*\(9\.9\)"):
        read_records(folder)
    with pytest.raises(SchemaVersionError, match="this harness reads 1 to 2"):
        load_sweep(folder)


def test_a_folder_of_the_previous_format_is_replaced_and_not_resumed(tmp_path: Path) -> None:
    """A sweep replaces it as ever; going on in it is refused, since it does not say what was asked."""
    folder, grid = tmp_path / "copy", a_grid()
    shutil.copytree(_FORMAT_1, folder)
    with pytest.raises(UsageError, match="does not say what was asked"):
        resumed_writer(folder, target=a_target(), grid=grid, options=SweepOptions())
    assert len((folder / RECORDS_NAME).read_text().splitlines()) == 2
    with sweep_writer(folder, target=a_target(), grid=grid) as writer:
        writer.add(a_record(grid.cells[0]))
        writer.finish()
    assert len(read_records(folder).records) == 1
