"""Records read back: what does not fit is refused by file and line, older records are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exhausters.errors import StoreError
from exhausters.sweep.facts import resummarize
from exhausters.sweep.read_records import read_records
from exhausters.sweep.record import SCHEMA_VERSION
from exhausters.sweep.store import HEADER_NAME, RECORDS_NAME, sweep_writer
from reports.load.sweep import load_sweep
from tests.sweep.samples import a_grid, a_target
from tests.sweep.test_store import RECORDS

_OLDER = Path(__file__).parents[1] / "reports" / "data" / "release_0.5.23"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with sweep_writer(tmp_path, target=a_target(), grid=a_grid(leave_pages=["all", 3])) as writer:
        for record in RECORDS:
            writer.add(record)
        writer.finish()
    return tmp_path


def change(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit the second record of a folder."""
    path = folder / RECORDS_NAME
    first, second = path.read_text().splitlines()
    values = json.loads(second)
    edit(values)
    path.write_text(f"{first}\n{json.dumps(values)}\n")


def test_no_records(tmp_path: Path) -> None:
    """A folder without records is a StoreError that names it."""
    with pytest.raises(StoreError, match="holds no readable sweep"):
        read_records(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff"])
def test_an_unreadable_header(folder: Path, content: bytes) -> None:
    """A header that is no JSON table is a StoreError."""
    (folder / HEADER_NAME).write_bytes(content)
    with pytest.raises(StoreError, match="holds no readable sweep"):
        read_records(folder)


def test_another_schema_is_refused(folder: Path) -> None:
    """Results of another schema are not read as if they were ours, neither folders nor single lines."""
    told = f"schema {SCHEMA_VERSION + 1}, this harness reads {SCHEMA_VERSION}"
    change(folder, lambda values: values.update(schema=SCHEMA_VERSION + 1))
    with pytest.raises(StoreError, match=rf"{RECORDS_NAME}:2: {told}"):
        read_records(folder)
    header = json.loads((folder / HEADER_NAME).read_text())
    (folder / HEADER_NAME).write_text(json.dumps({**header, "schema": SCHEMA_VERSION + 1}))
    with pytest.raises(StoreError, match=told):
        read_records(folder)


def test_a_broken_line_is_named(folder: Path) -> None:
    """A record that was cut off is reported by file and line."""
    path = folder / RECORDS_NAME
    path.write_text(path.read_text()[:-20])
    with pytest.raises(StoreError, match=rf"{RECORDS_NAME}:2: broken line"):
        read_records(folder)


@pytest.mark.parametrize("kept", [-20, -1])
def test_half_a_line_of_unfinished_records_is_left_out(folder: Path, kept: int) -> None:
    """What a power cut left at the end of records is no record, for any reader; those before it are read."""
    header = json.loads((folder / HEADER_NAME).read_text())
    (folder / HEADER_NAME).write_text(json.dumps({**header, "complete": False}))
    path = folder / RECORDS_NAME
    path.write_text(path.read_text()[:kept])
    found = read_records(folder)
    assert found.records == RECORDS[:1]
    assert not found.is_complete
    session, runs = load_sweep(folder)
    assert (session.complete, len(runs)) == (False, 1)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda values: values.pop("metrics"), "not a record of a run"),
        (lambda values: values["engine"].update(no_such=1), "not a record of a run"),
        (lambda values: values["engine"].update(page_size=0), "not a record of a run"),
        (lambda values: values["levels"].update(leave_pages=4), "its settings make"),
        (lambda values: values.update(decision_digest="ff" * 32), "the log has digest"),
        (lambda values: values.update(log="logs/none.log.gz"), "none.log.gz"),
        (lambda values: values.update(log=None), "no decision log"),
        (lambda values: values.update(facts="sweep.json"), "not the facts of a run"),
        (lambda values: values.update(facts=values["log"]), "not the facts of a run"),
    ],
)
def test_a_line_that_does_not_fit_is_named(
    folder: Path, edit: Callable[[dict[str, Any]], None], told: str
) -> None:
    """A record whose parts contradict each other, or are missing, is not handed out."""
    change(folder, edit)
    with pytest.raises(StoreError, match=rf"{RECORDS_NAME}:2: .*{told}"):
        read_records(folder)


def test_records_without_facts_are_read() -> None:
    """Records that were written before facts were stored are read, and say that they have none."""
    found = read_records(_OLDER)
    assert len(found.records) == 4
    assert found.is_complete
    assert all(record.result.log.steps for record in found.records)
    assert {record.result.facts for record in found.records} == {None}
    with pytest.raises(StoreError, match="holds no facts of its run"):
        resummarize(found.records[0])
