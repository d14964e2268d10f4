"""A sweep, and pairs, that were interrupted go on where they stopped. On fake hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import exhausters.targets
from exhausters.cli.app import app
from exhausters.errors import UsageError, WorkerCrashedError
from exhausters.sweep import workers
from exhausters.sweep.execute import LocalExecutor
from exhausters.sweep.pairs import run_pairs
from exhausters.sweep.read_records import read_records
from exhausters.sweep.record import CRASHED, RunRecord
from exhausters.sweep.record_files import HEADER_NAME, LOGS_NAME, RECORDS_NAME
from exhausters.sweep.resume import asked_of, resumed_pairs_writer, resumed_writer
from exhausters.sweep.run_options import RunOptions
from exhausters.sweep.runner import SweepOptions, sweep
from exhausters.sweep.store import sweep_writer
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_grid, a_record, a_target

_GRID = a_grid(leave_pages=["all", 64, 48, 32])
_OPTIONS = SweepOptions()


@pytest.fixture(autouse=True)
def _fake_hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    FakeHost.made.clear()
    monkeypatch.setattr(workers, "Host", FakeHost)
    yield
    FakeHost.made.clear()


def _run(folder: Path, *, stop_after: int | None = None) -> tuple[list[str], tuple[RunRecord, ...]]:
    """Sweep into a folder, keeping what it has; return the cells that were run, and all records."""
    ran: list[str] = []
    with resumed_writer(folder, target=a_target(), grid=_GRID, options=_OPTIONS) as writer:

        def keep(record: RunRecord) -> None:
            writer.add(record)
            ran.append(record.cell.id)
            if len(ran) == stop_after:
                raise KeyboardInterrupt

        executor = LocalExecutor(workers=1)
        records = sweep(a_target(), _GRID, _OPTIONS, executor=executor, on_record=keep, known=writer.kept)
        writer.finish()
    return ran, records


def _interrupted(folder: Path, after: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        _run(folder, stop_after=after)


def test_what_was_finished_is_not_run_again(tmp_path: Path) -> None:
    """After Ctrl-C the folder says that it is partial; the next call runs the others and completes it."""
    _interrupted(tmp_path, after=2)
    before = read_records(tmp_path)
    assert not before.is_complete
    ran, records = _run(tmp_path)
    assert len(ran) == 2
    assert set(ran).isdisjoint(one.cell.id for one in before.records)
    after = read_records(tmp_path)
    assert after.is_complete
    assert [one.cell for one in after.records] == [one.cell for one in records] == list(_GRID.cells)
    assert after.records[:2] == before.records


def test_a_complete_sweep_boots_nothing(tmp_path: Path) -> None:
    """Going on with a sweep that lacks nothing answers from its folder."""
    _run(tmp_path)
    FakeHost.made.clear()
    ran, records = _run(tmp_path)
    assert ran == []
    assert FakeHost.made == []
    assert len(records) == len(_GRID.cells)
    assert read_records(tmp_path).is_complete


def test_runs_whose_process_died_are_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash may have been the machine's: it is no finished cell."""

    def die(args: tuple[Any, ...]) -> None:
        if args[0] == _GRID.cells[1]:
            raise WorkerCrashedError("killed")

    monkeypatch.setattr(FakeHost, "on_run", staticmethod(die))
    _, records = _run(tmp_path)
    assert records[1].result.outcome == CRASHED
    monkeypatch.undo()
    monkeypatch.setattr(workers, "Host", FakeHost)
    ran, _ = _run(tmp_path)
    assert ran == [_GRID.cells[1].id]


def test_what_cannot_be_read_is_run_again(tmp_path: Path) -> None:
    """A line that was cut off, or a log that is broken, costs its cell, and no file of it stays."""
    _interrupted(tmp_path, after=3)
    lines = (tmp_path / RECORDS_NAME).read_text().splitlines(keepends=True)
    log = tmp_path / json.loads(lines[0])["log"]
    log.write_bytes(log.read_bytes()[:20])
    (tmp_path / RECORDS_NAME).write_text("".join(lines)[:-30])
    (tmp_path / LOGS_NAME / "0000.log.gz.tmp").write_text("half")
    cells = [json.loads(line)["cell"] for line in lines]
    broken = {cell for cell, line in zip(cells, lines, strict=True) if json.loads(line)["log"] in str(log)}
    ran, _ = _run(tmp_path)
    assert set(ran) == {*broken, cells[2], _GRID.cells[3].id}
    assert read_records(tmp_path).is_complete
    assert not list((tmp_path / LOGS_NAME).glob("*.tmp"))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"target": a_target("0.5.22")}, "target: 'release:0.5.23', now 'release:0.5.22'"),
        ({"grid": a_grid(leave_pages=["all"])}, "grid_digest"),
        ({"options": SweepOptions(clock="real")}, "clock: 'virtual', now 'real'"),
        ({"options": SweepOptions(run=RunOptions(count_work=False))}, "passes"),
    ],
)
def test_another_sweep_is_not_mixed_in(tmp_path: Path, other: dict[str, Any], told: str) -> None:
    """A folder holds records of one question; the message says what differs, and nothing is touched."""
    _interrupted(tmp_path, after=1)
    before = (tmp_path / HEADER_NAME).read_bytes()
    asked: dict[str, Any] = {"target": a_target(), "grid": _GRID, "options": _OPTIONS, **other}
    with pytest.raises(UsageError, match="holds another one") as found:
        resumed_writer(tmp_path, **asked)
    assert told in str(found.value)
    assert (tmp_path / HEADER_NAME).read_bytes() == before
    assert len(read_records(tmp_path).records) == 1


def test_records_that_do_not_say_what_was_asked_are_not_taken(tmp_path: Path) -> None:
    """Those of an older harness, or of a program of its own, are refused."""
    with sweep_writer(tmp_path, target=a_target(), grid=_GRID) as writer:
        writer.add(a_record(_GRID.cells[0]))
    with pytest.raises(UsageError, match="does not say what was asked"):
        resumed_writer(tmp_path, target=a_target(), grid=_GRID, options=_OPTIONS)


def test_a_trace_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    """A workload of the same name with other requests is not the one that was run."""
    record = a_record(_GRID.cells[0])
    changed = replace(record, result=replace(record.result, provenance={"workload_digest": "other"}))
    with sweep_writer(tmp_path, target=a_target(), grid=_GRID, asked=asked_of(_OPTIONS)) as writer:
        writer.add(changed)
        writer.add(a_record(_GRID.cells[1]))
    with resumed_writer(tmp_path, target=a_target(), grid=_GRID, options=_OPTIONS) as writer:
        assert [one.cell for one in writer.kept] == [_GRID.cells[1]]


def test_pairs_go_on_with_the_pairs_that_are_missing(tmp_path: Path) -> None:
    """Half a pair is run again, a whole one is not; every round still has processes of its own."""
    base, head, grid = a_target("0.5.22"), a_target(), a_grid(leave_pages=["all", 64])

    def run(stop_after: int | None) -> tuple[int, list[tuple[str, int | None, str]]]:
        ran: list[tuple[str, int | None, str]] = []
        with resumed_pairs_writer(tmp_path, base=base, head=head, grid=grid, rounds=3) as writer:

            def keep(record: RunRecord) -> None:
                writer.add(record)
                ran.append((record.cell.id, record.round, record.target))
                if len(ran) == stop_after:
                    raise KeyboardInterrupt

            run_pairs(base, head, grid, rounds=3, on_record=keep, known=writer.kept)
            writer.finish()
        return len(writer.kept), ran

    with pytest.raises(KeyboardInterrupt):
        run(stop_after=7)
    FakeHost.made.clear()
    kept, ran = run(stop_after=None)
    assert kept == 6
    assert len(ran) == 12 - 6
    assert {number for _, number, _ in ran} == {1, 2}
    assert len(FakeHost.made) == 4
    found = read_records(tmp_path)
    assert found.is_complete
    assert len(found.records) == 12


def test_the_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sweep --resume` begins where there is nothing, and keeps what there is."""
    monkeypatch.setattr(exhausters.targets, "prepare", lambda text, *, on_progress: a_target())
    (tmp_path / "grid.toml").write_text('[axes]\nworkload = ["bursts"]\nleave_pages = ["all", 64]\n')
    words = ["sweep", "--grid", str(tmp_path / "grid.toml"), "--out", str(tmp_path / "out"), "--resume"]
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 0, first.output
    path = tmp_path / "out" / RECORDS_NAME
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    second = CliRunner().invoke(app, words)
    assert second.exit_code == 0
    assert "[1/2] kept from an earlier call" in second.stderr
    assert second.stdout == first.stdout
    third = CliRunner().invoke(app, words)
    assert "[2/2] kept from an earlier call" in third.stderr
    assert "booting" not in third.stderr
    assert third.stdout == first.stdout
