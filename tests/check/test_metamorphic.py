"""Runs of one build are held against each other: what must not matter does not, and what does is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from exhausters.check.groups import exit_code
from exhausters.check.metamorphic import RelationJudged, judge_relations
from exhausters.engine.fake.requests import FakeRequest
from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.observe.decision_log import DecisionLog
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import CellResult, RunRecord
from exhausters.sweep.run_options import CHECKED, RunOptions
from exhausters.workloads import CanaryText, parse_spec, parse_workload
from tests.fakes.fake_engine import ScriptRunner

_AGENTS = "agents:conversations=4,turns=2"


def record(workload: str = _AGENTS, *, levels: dict[str, int] | None = None, **engine: Any) -> RunRecord:
    """One run on the fake, which has one tree core; `engine` only names the cell."""
    cell = Cell(
        workload=parse_spec(workload).text,
        levels=PressureLevels(**(levels or {})),
        engine=EngineSettings(model="canary", **engine),
    )
    runner = ScriptRunner(text=CanaryText(), page_size=cell.engine.page_size)
    result: CellResult = runner.run(
        run_cell, cell, parse_workload(cell.workload), RunOptions(passes=(CHECKED,))
    )
    core = "python" if cell.engine.tree_core == "python" else "rust"
    provenance = {**result.provenance, "tree_core": core}
    return RunRecord(cell=cell, target="path:fake", result=replace(result, provenance=provenance))


def judged(*records: RunRecord) -> dict[str, RelationJudged]:
    return {one.name: one for one in judge_relations(records)}


def test_names_do_not_matter() -> None:
    """The same requests by other names are decided alike, and that is said of one pair."""
    found = judged(record(), record(f"{_AGENTS},renamed=true"))["renamed requests"]
    assert (found.compared, found.broken, found.not_judged) == (1, (), "")


def test_a_scheduler_that_looks_at_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that is served in alphabetical order is a finding, with the first step that differs."""
    original = FakeScheduler.form_batch

    def form_batch(self: FakeScheduler) -> Any:
        self.queue.sort(key=lambda one: one.rid)
        return original(self)

    monkeypatch.setattr(FakeScheduler, "form_batch", form_batch)
    bursts = "bursts:bursts=1,burst_requests=6"
    records = [record(bursts), record(f"{bursts},renamed=true")]
    found = judged(*records)["renamed requests"]
    assert len(found.broken) == 1
    assert "step 0" in found.broken[0]
    assert exit_code(records, judge_relations(records)) == 1


def test_tree_cores_agree() -> None:
    """Two cores are compared where there are two, and a difference is told; one core is not judged."""
    rust, python = record(), record(tree_core="python")
    assert judged(rust, python)["tree cores"].broken == ()
    log = DecisionLog(python.result.log.steps[:-1])
    shorter = replace(python, result=replace(python.result, log=log))
    assert len(judged(rust, shorter)["tree cores"].broken) == 1
    only = replace(rust, cell=python.cell)
    other = replace(only, cell=rust.cell)
    assert judged(only, other)["tree cores"].not_judged == "this build has one tree core: rust"


def test_more_pages_that_take_longer_are_told() -> None:
    """More steps with more pages is told, and is no finding; fewer is not told."""
    bursts = "bursts:bursts=1,burst_requests=6"
    fewer, more = record(bursts, levels={"leave_pages": 20}), record(bursts, levels={"leave_pages": 28})
    assert judged(fewer, more)["more pages"].broken == ()
    swapped = [replace(fewer, result=more.result), replace(more, result=fewer.result)]
    assert len(fewer.result.log) > len(more.result.log)
    found = judged(*swapped)["more pages"]
    assert len(found.broken) == 1
    assert exit_code(swapped, judge_relations(swapped)) == 0


def test_one_text_in_all_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Page sizes and levels are compared by text; a wrong one names its cell."""
    good = [record(), record(page_size=1), record(levels={"leave_pages": 40})]
    found = judged(*good)["same text everywhere"]
    assert (found.compared, found.broken) == (3, ())
    finish = FakeScheduler._finish

    def finish_in_reverse(self: FakeScheduler, request: FakeRequest) -> None:
        request.outputs.reverse()
        finish(self, request)

    monkeypatch.setattr(FakeScheduler, "_finish", finish_in_reverse)
    bad = record(page_size=4)
    assert [one.partition(":")[0] for one in judged(*good, bad)["same text everywhere"].broken] == ["agents"]
    assert bad.cell.id in judged(*good, bad)["same text everywhere"].broken[0]


def test_nothing_to_compare() -> None:
    """Without pairs every relation says why nothing was judged, and the exit code is that of the promises."""
    found = judged(record())
    assert all(one.not_judged and not one.compared for one in found.values())
    assert exit_code([record()], judge_relations([record()])) == 0
