"""What is left of requests, and what an idle step costs, from round to round. On the fake scheduler."""

from __future__ import annotations

from typing import Any

import pytest

from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.oracles.rounds import JUDGED_ROUNDS
from exhausters.sweep.cell import Cell
from exhausters.sweep.drain import run_cell
from exhausters.sweep.record import DRAINED, CellResult
from exhausters.sweep.run_options import CHECKED, IN_ROUNDS, RunOptions
from exhausters.workloads import parse_workload
from tests.fakes.fake_engine import ScriptRunner
from tests.oracles.test_on_the_fake import answers, broken

_CELL = Cell(workload="bursts:bursts=1,burst_requests=10,warmup_leaves=0")


def in_rounds(*passes: str) -> CellResult:
    options = RunOptions(passes=passes or (IN_ROUNDS,))
    result: CellResult = ScriptRunner().run(run_cell, _CELL, parse_workload(_CELL.workload), options)
    return result


def test_nothing_is_left_of_requests() -> None:
    """On the fake as it is nothing grows, each round is judged, and the cost of an idle step is reported."""
    result = in_rounds()
    assert result.outcome == DRAINED
    assert broken(result) == {}
    assert answers(result.judgement) == {"nothing grows": JUDGED_ROUNDS, "idle cost": JUDGED_ROUNDS}
    assert result.judgement is not None
    (measured,) = {one.measured for one in result.judgement.promises} - {""}
    assert "calls in an idle step" in measured


def test_both_passes_make_one_judgement() -> None:
    """A cell that is judged step by step and in rounds has one answer for each promise."""
    result = in_rounds(CHECKED, IN_ROUNDS)
    assert result.provenance["repeatable"]
    assert answers(result.judgement)["nothing grows"] == JUDGED_ROUNDS
    assert answers(result.judgement)["work conservation"] > 0
    assert result.judgement is not None
    assert {one.not_judged for one in result.judgement.promises if one.promise == "idle cost"} == {""}


class _Note:
    """What a scheduler that forgets nothing keeps of a request."""


def test_what_is_kept_of_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that is kept of each request is found, by its type and by the place of its container."""
    original = FakeScheduler.receive
    monkeypatch.setattr(FakeScheduler, "kept", [], raising=False)

    def receive(self: Any, *args: Any) -> None:
        self.kept.append(_Note())
        original(self, *args)

    monkeypatch.setattr(FakeScheduler, "receive", receive)
    found = broken(in_rounds())
    assert set(found) == {"nothing grows"}
    assert "1,000 objects of tests.oracles.test_rounds._Note" in found["nothing grows"].saw
    assert "1,000 elements of " in found["nothing grows"].saw


def test_plain_values_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of request ids that only grows is found by its length: text is no tracked object."""
    original = FakeScheduler.__init__

    def init(self: Any, **settings: Any) -> None:
        original(self, **settings)
        self.seen_rids = set()

    receive = FakeScheduler.receive
    monkeypatch.setattr(FakeScheduler, "__init__", init)
    monkeypatch.setattr(
        FakeScheduler,
        "receive",
        lambda self, rid, *args: (self.seen_rids.add(rid), receive(self, rid, *args)),
    )
    (found,) = broken(in_rounds()).values()
    assert "1,000 elements of exhausters.engine.fake.scheduler.FakeScheduler.seen_rids (set)" in found.saw


def test_an_idle_step_that_pays_for_the_past(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of an idle step that grow with what was served are found, with their numbers."""
    served = [0]
    receive, is_idle = FakeScheduler.receive, FakeScheduler.iterate

    def count(self: Any, *args: Any) -> None:
        served[0] += 1
        receive(self, *args)

    def iterate(self: Any) -> None:
        is_idle(self)
        for _ in range(served[0]):
            _look()

    monkeypatch.setattr(FakeScheduler, "receive", count)
    monkeypatch.setattr(FakeScheduler, "iterate", iterate)
    assert set(broken(in_rounds())) == {"idle cost"}


def _look() -> None:
    """A call outside the harness."""
