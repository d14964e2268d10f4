"""Files for other tools."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from exhausters.cli.app import app
from exhausters.sweep.store import sweep_writer
from exhausters.why.exports import records_trace, write_exports
from tests.sweep.samples import a_grid, a_record, a_target
from tests.why.sides import profile

RUNNER = CliRunner(env={"NO_COLOR": "1"})


def test_each_side_has_a_profile_twice_and_a_trace(tmp_path: Path) -> None:
    """Speedscope, flame graph tools and Perfetto each get a file whose counts are those of the profile."""
    found = profile()
    scope, stacks, trace = write_exports(tmp_path, "head", found, title="mine")
    assert {one.name for one in (scope, stacks, trace)} == {
        "head.speedscope.json",
        "head.collapsed.txt",
        "head.trace.json",
    }
    every = sum(calls for places in found.calls.values() for _, _, calls in places)
    assert json.loads(scope.read_text())["profiles"][0]["endValue"] == every
    assert sum(int(line.rsplit(" ", 1)[1]) for line in stacks.read_text().splitlines()) == every
    assert {event["ph"] for event in json.loads(trace.read_text())["traceEvents"]} >= {"X", "C", "M"}


def test_runs_of_one_trace_have_processes_of_their_own() -> None:
    """Several runs in one file do not share a track."""
    records = [a_record(cell) for cell in a_grid(leave_pages=["all", 5]).cells]
    events = records_trace(records)["traceEvents"]
    titles = {one["pid"]: one["args"]["name"] for one in events if one["name"] == "process_name"}
    assert sorted(titles) == [1, 2, 3, 4]
    assert [titles[pid] for pid in (1, 3)] == [f"release:0.5.23 {record.cell.id}" for record in records]


def test_trace_command(tmp_path: Path) -> None:
    """`exhausters trace` writes the runs whose cell matches, and refuses a pattern that matches nothing."""
    grid = a_grid(leave_pages=["all", 5])
    with sweep_writer(tmp_path / "records", target=a_target(), grid=grid) as writer:
        for cell in grid.cells:
            writer.add(a_record(cell))
        writer.finish()
    out = tmp_path / "trace.json"
    arguments = ["trace", str(tmp_path / "records"), "--out", str(out), "--cells"]
    done = RUNNER.invoke(app, [*arguments, "pages=5"])
    assert done.exit_code == 0, done.output
    names = [one["args"]["name"] for one in json.loads(out.read_text())["traceEvents"] if one["ph"] == "M"]
    assert sum("pages=5" in name for name in names) == 1
    assert RUNNER.invoke(app, [*arguments, "nothing"]).exit_code == 2
