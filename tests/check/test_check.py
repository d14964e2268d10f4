"""Findings of a grid: told once, shrunk to a script that fails, written as an issue, and an exit code."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from exhausters.check.groups import exit_code, grouped, promise_counts
from exhausters.check.report import check_json, issue_text
from exhausters.check.shrink import shrink
from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.errors import ScriptFailedError
from exhausters.oracles import PROMISES
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.grid import load_grid
from exhausters.sweep.record import CRASHED, CellResult, RunRecord
from exhausters.sweep.run_options import CHECKED, RunOptions
from exhausters.worker.protocol import ScriptRef
from exhausters.workloads import parse_spec, parse_workload
from tests.fakes.fake_engine import ScriptRunner
from tests.fakes.fake_target import fake_target

_WORKLOADS = ("agents:conversations=3,turns=2", "bursts:bursts=1,burst_requests=6")


def _record(workload: str) -> RunRecord:
    cell = Cell(workload=workload, engine=EngineSettings(max_total_tokens=1 << 14))
    options = RunOptions(passes=(CHECKED,))
    result: CellResult = _host().run(run_cell, cell, parse_workload(workload), options)
    return RunRecord(cell=cell, target="path:fake", result=result)


def _host() -> ScriptRunner:
    return ScriptRunner(max_total_tokens=1 << 14)


class _Lease:
    """Lends a fresh fake engine each time, which runs scripts of files too."""

    def host(self, *_: Any) -> _Lease:
        return self

    def run(self, script: Any, *args: Any, **keywords: Any) -> Any:
        if isinstance(script, ScriptRef):
            script = _module(Path(script.file or "")).script
        return _host().run(script, *args)


def _module(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[file.stem] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(name="shy")
def _shy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake admits nobody while two requests run, though there is room."""
    original = FakeScheduler._admit

    def admit(self: FakeScheduler, request: Any) -> bool:
        return len(self.running.requests) < 2 and original(self, request)

    monkeypatch.setattr(FakeScheduler, "_admit", admit)


@pytest.mark.usefixtures("shy")
def test_the_same_finding_is_told_once() -> None:
    """Findings of one promise and cause are one group, with their number and their cells."""
    records = [_record(workload) for workload in _WORKLOADS]
    (group,) = grouped(records)
    assert group.promise == "work conservation"
    assert group.count >= len(group.cells) == len(_WORKLOADS)
    every = [finding for one in records if one.result.judgement for finding in one.result.judgement.findings]
    assert group.finding.steps == max(finding.steps for finding in every)  # both have six requests
    (counted,) = [one for one in promise_counts(records) if one.findings]
    assert (counted.promise, counted.findings) == ("work conservation", group.count)


@pytest.mark.usefixtures("shy")
def test_the_script_fails_until_it_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script needs each of its requests, fails on this scheduler, and passes on a mended one."""
    (group,) = grouped([_record(_WORKLOADS[1])])
    file = tmp_path / "test_shown.py"
    shrunk = shrink(group, fake_target(), cast(Any, _Lease()), file, max_runs=200)
    assert shrunk is not None
    assert shrunk.is_proven
    assert shrunk.reduction.is_minimal
    assert len(shrunk.reduction.trial.scenario.requests) < 6
    script = _module(file).script
    with pytest.raises(ScriptFailedError, match="work conservation: broken from step"):
        _host().run(script)
    monkeypatch.undo()
    _host().run(script)


@pytest.mark.usefixtures("shy")
def test_the_issue_says_all_of_it(tmp_path: Path) -> None:
    """Promise, sight, cell, build and script are in the issue, and the same in the JSON."""
    records = [_record(workload) for workload in _WORKLOADS]
    groups = grouped(records)
    target = fake_target()
    shrunk = shrink(groups[0], target, cast(Any, _Lease()), tmp_path / "test_shown.py", max_runs=200)
    assert shrunk is not None
    text = issue_text(target, records, groups, (), {"test_shown.py": shrunk})
    finding = groups[0].finding
    for part in (finding.wants, finding.saw, groups[0].record.cell.id, target.name, shrunk.text.rstrip()):
        assert part in text
    document = check_json(
        target, "mine", records, groups, promise_counts(records), (), {"test_shown.py": shrunk}
    )
    assert document["exit_code"] == 1
    assert [one["promise"] for one in document["promises"]] == [one.name for one in PROMISES]


def test_exit_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept is 0; a cell that failed is 2, beside any judged one; a finding is 1, beside any failed one."""
    kept = _record(_WORKLOADS[0])
    failed = replace(kept, result=replace(kept.result, outcome=CRASHED, judgement=None))
    assert (exit_code([kept], ()), exit_code([kept, failed], ()), exit_code([], ())) == (0, 2, 2)
    original = FakeScheduler._admit
    monkeypatch.setattr(
        FakeScheduler, "_admit", lambda self, request: not self.running.requests and original(self, request)
    )
    assert exit_code([kept, failed, _record(_WORKLOADS[0])], ()) == 1


def test_the_stock_grid() -> None:
    """The grid `check` has few boots, small numbers of rows, both loops, canary models and held pressure.

    Each pool that an exhauster can be put on is put under pressure, and each kind of request is sent.
    """
    cells = load_grid("check").cells
    engines = {cell.engine for cell in cells}
    assert len(engines) <= 13
    assert {engine.max_running_requests for engine in engines} == {4, 8}
    assert {engine.overlap for engine in engines} == {True, False}
    assert {engine.model for engine in engines} == {"canary", "canary_hybrid_swa", "canary_hybrid_mamba"}
    assert any(cell.levels.held for cell in cells)
    assert {name for cell in cells for name in cell.levels.given()} >= {
        "leave_pages",
        "leave_rows",
        "leave_host_pages",
        "leave_mamba_slots",
        "leave_lora_slots",
    }
    arguments = {name for cell in cells for name in parse_spec(cell.workload).arguments}
    assert arguments >= {"priorities", "adapters", "grammar_steps", "sessions", "logprobs_from"}
    assert any(cell.engine.speculative_accept for cell in cells)
