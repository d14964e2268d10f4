"""Metrics of stored records are computed again, so that a metric added later reaches old results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exhausters.cli.app import app
from exhausters.errors import StoreError
from exhausters.sweep import workers
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.read_records import read_records
from exhausters.sweep.refill import refill
from exhausters.sweep.runner import sweep
from exhausters.sweep.store import HEADER_NAME, RECORDS_NAME, sweep_writer
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_grid, a_target


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep of two cells on the fake engine."""
    monkeypatch.setattr(workers, "Host", FakeHost)
    grid = a_grid(leave_pages=["all", 64])
    with sweep_writer(tmp_path / "swept", target=a_target(), grid=grid) as writer:
        sweep(a_target(), grid, executor=LocalExecutor(workers=1), on_record=writer.add)
        writer.finish()
    return tmp_path / "swept"


def _edit(folder: Path, **metrics: float | None) -> None:
    """Put values into the metrics of the first record; None takes the metric out."""
    first, *others = (folder / RECORDS_NAME).read_text().splitlines()
    values = json.loads(first)
    for name, value in metrics.items():
        del values["metrics"][name]
        if value is not None:
            values["metrics"][name] = value
    (folder / RECORDS_NAME).write_text("\n".join([json.dumps(values), *others]) + "\n")


def test_a_missing_metric_is_filled_in_and_a_wrong_one_replaced(folder: Path) -> None:
    """What is computed again is what was stored: nothing else in the records changes."""
    before = [record.result.metrics for record in read_records(folder).records]
    assert not refill(folder).added
    _edit(folder, recompute_tax=None, chunks=-1)
    done = refill(folder)
    assert (dict(done.added), dict(done.changed), done.records) == ({"recompute_tax": 1}, {"chunks": 1}, 2)
    assert [dict(record.result.metrics) for record in read_records(folder).records] == list(map(dict, before))


def test_half_a_line_is_no_record(folder: Path) -> None:
    """Unfinished records whose last line was cut off are computed again without it."""
    header = json.loads((folder / HEADER_NAME).read_text())
    (folder / HEADER_NAME).write_text(json.dumps({**header, "complete": False}))
    (folder / RECORDS_NAME).write_text((folder / RECORDS_NAME).read_text()[:-9])
    assert refill(folder).records == 1
    assert (folder / RECORDS_NAME).read_text().count("\n") == 1


def test_a_record_without_facts_stays_and_is_counted(folder: Path) -> None:
    """Records from before facts were stored are left as they are, with the reason."""
    first, *others = (folder / RECORDS_NAME).read_text().splitlines()
    values = json.loads(first)
    del values["facts"]
    (folder / RECORDS_NAME).write_text("\n".join([json.dumps(values), *others]) + "\n")
    done = refill(folder)
    assert sum(done.left.values()) == 1
    assert not done.changed


def test_the_command_says_what_it_did(folder: Path, tmp_path: Path) -> None:
    """`exhausters resummarize` prints the counts, and a folder without records is an error with code 2."""
    _edit(folder, chunks=None)
    done = CliRunner().invoke(app, ["resummarize", str(folder)])
    assert (done.exit_code, done.output) == (0, "2 records: 1 values (chunks) added, 0 values changed\n")
    assert CliRunner().invoke(app, ["resummarize", str(tmp_path / "none")]).exit_code == 2
    with pytest.raises(StoreError):
        refill(tmp_path / "none")
