"""A folder of records: written as they come, never written over something else."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from exhausters.errors import FolderBusyError, StoreError, UsageError
from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.executed_source import ExecutedSource
from exhausters.observe.latency import GoodputLimits
from exhausters.observe.run_facts import RunFacts
from exhausters.sweep.read_records import read_records
from exhausters.sweep.record import STALLED, RunRecord
from exhausters.sweep.store import (
    HEADER_NAME,
    LOGS_NAME,
    RECORDS_NAME,
    RecordWriter,
    pairs_writer,
    sweep_writer,
)
from reports.load.sweep import load_sweep
from tests.sweep.samples import a_grid, a_record, a_target

_GRID = a_grid(leave_pages=["all", 3])
_FACTS = RunFacts(
    chunk_budget_tokens=256,
    submitted_steps={"a": 0},
    wanted_outputs={"a": 3, "b": 4},
    arrival_ns={"a": 17},
    warm_rids=("w",),
    page_size=16,
    emitted_token=5,
    goodput=GoodputLimits(first_token_seconds=1.5),
)
RECORDS = (
    a_record(_GRID.cells[0], steps_to_drain=7, recompute_tax=None, facts=_FACTS),
    a_record(_GRID.cells[1], outcome=STALLED, reason="nothing runs"),
)
Open = Callable[[Path], RecordWriter]


def open_sweep(folder: Path) -> RecordWriter:
    return sweep_writer(folder, target=a_target(), grid=_GRID)


def open_pairs(folder: Path) -> RecordWriter:
    return pairs_writer(folder, base=a_target("0.5.22"), head=a_target(), grid=_GRID, rounds=1)


def pair_records() -> list[RunRecord]:
    """One round of each cell, head first in the second cell; the cells in the wrong order."""
    first, second = (
        [
            replace(record, target=f"release:0.5.{patch}", round=0, order=order)
            for patch in ((22, 23) if order == "AB" else (23, 22))
        ]
        for record, order in zip(RECORDS, ("AB", "BA"), strict=True)
    )
    return second + first


def test_a_sweep_is_read_back_as_it_was(tmp_path: Path) -> None:
    """Header and records, logs and facts included, come back as they were written, in the grid's order."""
    with open_sweep(tmp_path / "out") as writer:
        for record in reversed(RECORDS):
            writer.add(record)
        writer.finish()
    found = read_records(tmp_path / "out")
    assert found.records == RECORDS
    assert found.records[0].result.facts == _FACTS
    assert found.is_complete
    expected = {"kind": "sweep", "grid_digest": _GRID.digest, "cells": 2, "runs": 2}
    assert expected.items() <= found.header.items()
    assert found.header["target"] == "release:0.5.23"


def test_pairs_are_read_back_as_they_were(tmp_path: Path) -> None:
    """So do those of pairs, by cell and round, with the order within a round as it was run."""
    with open_pairs(tmp_path / "out") as writer:
        for record in pair_records():
            writer.add(record)
        writer.finish()
    found = read_records(tmp_path / "out")
    assert list(found.records) == pair_records()[2:] + pair_records()[:2]
    assert [one.order for one in found.records] == ["AB", "AB", "BA", "BA"]
    assert {"kind": "pairs", "cells": 2, "runs": 4, "rounds": 1}.items() <= found.header.items()
    assert set(found.header["targets"]) == {"release:0.5.22", "release:0.5.23"}


def test_reports_read_both(tmp_path: Path) -> None:
    """What the writer adds to header and lines does not keep `reports` from loading them."""
    with open_sweep(tmp_path / "sweep") as sweep, open_pairs(tmp_path / "pairs") as pairs:
        for record in RECORDS:
            sweep.add(record)
        for record in pair_records():
            pairs.add(record)
        sweep.finish()
        pairs.finish()
    session, runs = load_sweep(tmp_path / "sweep")
    assert (session.expected_cells, session.complete, len(runs)) == (2, True, 2)
    assert all(run.log_path is not None and Path(run.log_path).is_file() for run in runs)
    session, runs = load_sweep(tmp_path / "pairs")
    assert (session.expected_cells, session.complete, len(runs)) == (2, True, 4)
    assert {(run.target, run.round) for run in runs} == {("release:0.5.22", 0), ("release:0.5.23", 0)}


def test_the_date_of_a_commit_is_in_the_header(tmp_path: Path) -> None:
    """Builds are put in order by it, of sweeps and of pairs; that of a release has none."""
    commit = replace(a_target(), name="git:/r@a", commit="a" * 40, committed="2026-05-01T14:00:00+02:00")
    with sweep_writer(tmp_path / "commit", target=commit, grid=_GRID) as sweep:
        sweep.add(RECORDS[0])
    with pairs_writer(tmp_path / "pairs", base=a_target(), head=commit, grid=_GRID, rounds=1) as pairs:
        for record in pair_records():
            pairs.add(replace(record, target=commit.name) if record.target.endswith("22") else record)
    with open_sweep(tmp_path / "release") as sweep:
        sweep.add(RECORDS[0])
    runs = [run for name in ("commit", "pairs", "release") for run in load_sweep(tmp_path / name)[1]]
    dates = {run.target: run.committed and run.committed.isoformat() for run in runs}
    assert dates == {commit.name: "2026-05-01T14:00:00+02:00", "release:0.5.23": None}
    assert "target_date" not in json.loads((tmp_path / "release" / HEADER_NAME).read_text())


def test_equal_logs_share_a_file(tmp_path: Path) -> None:
    """The rounds of a pair that decided alike cost one log and one file of facts."""
    with open_pairs(tmp_path) as writer:
        for record in pair_records():
            writer.add(record)
    assert len(list((tmp_path / LOGS_NAME).glob("*.log.gz"))) == 1
    assert len(list((tmp_path / LOGS_NAME).glob("*.facts.json.gz"))) == 1


@pytest.mark.parametrize("opened", [open_sweep, open_pairs])
def test_what_was_interrupted_is_incomplete(tmp_path: Path, opened: Open) -> None:
    """What was written before an interruption stays, and the header says that it is not all."""

    def interrupted() -> None:
        with opened(tmp_path) as writer:
            writer.add(pair_records()[0])
            assert len(read_records(tmp_path).records) == 1  # on disk already
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    found = read_records(tmp_path)
    assert not found.is_complete
    assert len(found.records) == 1
    session, _ = load_sweep(tmp_path)
    assert session.complete is False


def test_a_missing_run_is_not_complete(tmp_path: Path) -> None:
    """A folder that lacks a run is never marked as complete."""
    with open_pairs(tmp_path) as writer:
        for record in pair_records()[:3]:
            writer.add(record)
        with pytest.raises(StoreError, match="3 records, expected 4"):
            writer.finish()
    assert not read_records(tmp_path).is_complete


@pytest.mark.parametrize("opened", [open_sweep, open_pairs])
def test_earlier_records_of_the_kind_are_replaced(tmp_path: Path, opened: Open) -> None:
    """Running into the same folder again leaves nothing of the earlier run."""
    with opened(tmp_path) as writer:
        for record in pair_records()[2:]:
            writer.add(record)
    with opened(tmp_path):
        pass
    assert read_records(tmp_path).records == ()
    assert list((tmp_path / LOGS_NAME).iterdir()) == []


@pytest.mark.parametrize(
    ("earlier", "later", "held"),
    [(open_sweep, open_pairs, "records of a sweep"), (open_pairs, open_sweep, "records of pairs")],
)
def test_another_kind_is_refused(tmp_path: Path, earlier: Open, later: Open, held: str) -> None:
    """Pairs do not replace a sweep nor a sweep pairs, those of older harnesses included."""
    with earlier(tmp_path) as writer:
        writer.add(pair_records()[-1])
    header = json.loads((tmp_path / HEADER_NAME).read_text())
    for text in (header, {name: value for name, value in header.items() if name != "kind"}):
        (tmp_path / HEADER_NAME).write_text(json.dumps(text))
        with pytest.raises(UsageError, match=f"holds {held}; expected an empty folder"):
            later(tmp_path)
        assert len(read_records(tmp_path).records) == 1


@pytest.mark.parametrize("opened", [open_sweep, open_pairs])
def test_a_foreign_folder_is_refused(tmp_path: Path, opened: Open) -> None:
    """A folder with anything else in it, or a file, is refused and left as it was."""
    (tmp_path / "thesis.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(UsageError, match="expected an empty folder or earlier records"):
            opened(place)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / HEADER_NAME).write_text("no header of ours")
    with pytest.raises(UsageError, match="cannot be read"):
        opened(tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "thesis.txt"]
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    assert (tmp_path / "other" / HEADER_NAME).read_text() == "no header of ours"


def test_one_build_is_no_pair(tmp_path: Path) -> None:
    """A build compared with itself is refused before earlier pairs are taken away."""
    with open_pairs(tmp_path) as writer:
        writer.add(pair_records()[0])
    with pytest.raises(UsageError, match="with itself"):
        pairs_writer(tmp_path, base=a_target(), head=a_target(), grid=_GRID, rounds=1)
    with pytest.raises(UsageError, match="rounds=0"):
        pairs_writer(tmp_path, base=a_target("0.5.22"), head=a_target(), grid=_GRID, rounds=0)
    assert len((tmp_path / RECORDS_NAME).read_text().splitlines()) == 1


def test_a_later_pass_takes_the_place_of_a_record(tmp_path: Path) -> None:
    """A cell that is measured further stays one line, readable at every moment, with its executed lines."""
    executed = ExecutedSource(lines={"a.py": (1, 2)}, imported=("a.py", "b.py"))
    fuller = replace(RECORDS[0], result=replace(RECORDS[0].result, metrics={"more": 1}, executed=executed))
    with open_sweep(tmp_path / "out") as writer:
        writer.add(RECORDS[0])
        writer.add(fuller)
        assert read_records(tmp_path / "out").records == (fuller,)
        writer.add(RECORDS[1])
        writer.finish()
    assert read_records(tmp_path / "out").records == (fuller, RECORDS[1])


def test_a_grid_can_get_further_cells(tmp_path: Path) -> None:
    """A sweep that goes on with more cells is complete when they are there, under the larger digest."""
    larger = a_grid(leave_pages=["all", 3, 5])
    with open_sweep(tmp_path / "out") as writer:
        for record in RECORDS:
            writer.add(record)
        writer.extend(larger)
        writer.add(a_record(larger.cells[2]))
        writer.finish()
    stored = read_records(tmp_path / "out")
    assert stored.is_complete
    assert (stored.header["grid_digest"], stored.header["runs"]) == (larger.digest, 3)


def test_a_disk_that_refuses_is_a_typed_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk names the folder and what to do; what was written before stays readable."""
    with open_sweep(tmp_path / "out") as writer:
        writer.add(RECORDS[0])

        def full(log: object, path: Path) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(DecisionLog, "write", full)
        other = replace(RECORDS[1], result=replace(RECORDS[1].result, log=DecisionLog(())))
        with pytest.raises(StoreError, match=r"out: cannot be written \(No space left on device\)"):
            writer.add(other)
    assert read_records(tmp_path / "out").records == (RECORDS[0],)


@pytest.mark.parametrize("opened", [open_sweep, open_pairs])
def test_two_commands_do_not_share_a_folder(tmp_path: Path, opened: Open) -> None:
    """The second is refused with a typed error and changes nothing; when the first has ended it may write."""
    with opened(tmp_path) as writer:
        writer.add(pair_records()[-1])
        with pytest.raises(FolderBusyError, match=r"another (sweep|pairs) writes into it; wait for it"):
            opened(tmp_path)
        assert len(read_records(tmp_path).records) == 1
    with opened(tmp_path):
        pass
    assert read_records(tmp_path).records == ()


def _add_with_little_room(folder: Path, room_bytes: int) -> None:
    """In a process of its own: add both where no file may grow beyond the first line and some bytes."""
    with open_sweep(folder) as writer:
        writer.add(RECORDS[0])
        limit = (folder / RECORDS_NAME).stat().st_size + room_bytes
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            writer.add(RECORDS[1])
        except StoreError:
            os._exit(0)
    os._exit(1)


def test_half_a_line_is_taken_back(tmp_path: Path) -> None:
    """Where the disk takes only a part of a record, the folder holds those before it and can be read."""
    child = multiprocessing.get_context("fork").Process(target=_add_with_little_room, args=(tmp_path, 50))
    child.start()
    child.join(timeout=60)
    assert child.exitcode == 0
    assert read_records(tmp_path).records == (RECORDS[0],)
    assert not read_records(tmp_path).is_complete
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_folder_that_cannot_be_written_is_a_typed_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only place is refused before anything is booted, with the folder and what to do."""

    def refuse(path: Path, *_arguments: object, **_more: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreError, match=r"out: cannot be written \(Read-only file system\).*with --out"):
        open_sweep(tmp_path / "out")
