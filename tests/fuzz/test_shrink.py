"""What the shrinker tries, on a player that finds its bug wherever a script still has what the bug needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from exhausters.errors import BootError
from exhausters.fuzz.cases import Case, Shown
from exhausters.fuzz.operations import Abort, Exhaust, Operation, Steps, Submit
from exhausters.fuzz.player import Player
from exhausters.fuzz.shrink import ShrunkCase, renumbered, shrink_case
from exhausters.oracles import Finding
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import EngineSettings
from exhausters.workloads import Request, Segment, Session
from tests.fuzz.in_process import ENGINE, script, steps, submit

_FINDING = Finding(promise="liveness", wants="an end", saw="none", step=3, first_step=1, cause="c")
_OTHER = replace(_FINDING, cause="another")


class _Player:
    """Stands where a player stands: another cause is always found, the one looked for where `shows` says."""

    def __init__(self, shows: Callable[[Case], bool], *, refuses: Callable[[EngineSettings], bool]) -> None:
        self._shows, self._refuses = shows, refuses

    def replace_worker(self, engine: EngineSettings) -> None:
        pass

    def alone(self, case: Case) -> Shown:
        if self._refuses(case.engine):
            raise BootError("refused")
        findings = (_OTHER, _FINDING) if self._shows(case) else (_OTHER,)
        return Shown(case=case, findings=findings, played=None)


def _shrunk(
    *operations: Operation,
    needs: Callable[[Operation], bool] = lambda one: True,
    engine: EngineSettings = ENGINE,
    refuses: Callable[[EngineSettings], bool] = lambda engine: False,
) -> ShrunkCase:
    player = _Player(lambda case: any(map(needs, case.script.operations)), refuses=refuses)
    case = Case(engine=engine, script=script(*operations))
    found = shrink_case(case, _FINDING, cast(Player, player))
    assert found is not None
    return found


def _left(*operations: Operation, needs: Callable[[Operation], bool]) -> Operation:
    (found,) = _shrunk(*operations, needs=needs).case.script.operations
    return found


def test_pressure_that_the_bug_does_not_need_is_taken_away() -> None:
    """Of several held levels the one that matters is left, once, and as low as the bug allows."""
    given = Exhaust(levels=PressureLevels(leave_pages=100, leave_rows=8, leave_refs=3, held=True))
    found = _left(
        steps(4), given, needs=lambda one: isinstance(one, Exhaust) and one.levels.leave_rows is not None
    )
    assert found == Exhaust(levels=PressureLevels(leave_rows=0))


def test_pressure_that_must_be_held_stays_held() -> None:
    """Only what the bug can do without goes: the level is halved as long as it is enough."""

    def needs(one: Operation) -> bool:
        return isinstance(one, Exhaust) and one.levels.held and (one.levels.leave_pages or 0) >= 20

    found = _left(Exhaust(levels=PressureLevels(leave_pages=100, held=True)), needs=needs)
    assert isinstance(found, Exhaust)
    assert found.levels.held
    assert 20 <= (found.levels.leave_pages or 0) < 40


def test_an_abort_waits_no_longer_than_it_must() -> None:
    """It becomes nothing but waiting, or an abort at once, or one that waits for its stage without steps."""
    given = Abort(rid="r0", stage="running", within_steps=9)
    assert _left(given, needs=lambda one: isinstance(one, Abort)) == Abort(rid="r0")
    waits = _left(given, needs=lambda one: isinstance(one, Abort) and one.stage is not None)
    assert waits == replace(given, within_steps=0)
    found = _left(given, needs=lambda one: isinstance(one, Abort | Steps))
    assert found == steps(1)


def _request(**fields: Any) -> Request:
    given: dict[str, Any] = {
        "rid": "r0",
        "arrival_seconds": 0.0,
        "prompt": (Segment(seed=1, length=30), Segment(seed=2, length=50)),
        "max_new_tokens": 40,
    }
    return Request(**given | fields)


def test_a_request_loses_all_that_the_bug_does_not_need() -> None:
    """Segments, arguments and lengths go; what is left has one token in and one out."""
    given = _request(priority=3, logprobs_from=2, adapter="a", grammar_steps=4, ignore_eos=True)
    found = _left(Submit(request=given), needs=lambda one: isinstance(one, Submit))
    assert isinstance(found, Submit)
    (part,) = found.request.prompt
    assert (part.length, found.request.max_new_tokens, found.request.ignore_eos) == (1, 1, False)
    kept = [
        getattr(found.request, name) for name in ("priority", "logprobs_from", "adapter", "grammar_steps")
    ]
    assert kept == [None] * 4


def test_a_later_turn_keeps_what_its_session_has() -> None:
    """The head of its prompt is what the turns before have left: only what is new in it becomes less."""
    given = _request(after="r9", session=Session(name="s", streams=False, has_tokens=30))
    found = _left(Submit(request=given), needs=lambda one: isinstance(one, Submit))
    assert isinstance(found, Submit)
    assert [part.length for part in found.request.prompt] == [30, 1]


def test_switches_go_where_the_engine_still_boots() -> None:
    """An engine that does not boot without a switch shows nothing: that switch stays, others go."""
    engine = replace(ENGINE, page_size=16, policy="lpm", overlap=False)
    found = _shrunk(steps(1), engine=engine, refuses=lambda one: one.page_size != 16)
    assert found.case.engine.page_size == 16
    assert found.case.engine.policy != "lpm"
    assert found.is_minimal
    assert found.finding.cause == "c"


def test_names_in_a_script_are_numbered_anew() -> None:
    """An abort and a later turn still mean the request that they meant; what names none is as it was."""
    later = submit("r8", 5)
    later = Submit(request=replace(later.request, after="r7"))
    found = renumbered(script(submit("r7", 3), steps(2), later, Abort(rid="r8"), Abort(rid="gone")))
    first, wait, second, abort, other = found.operations
    assert isinstance(first, Submit)
    assert isinstance(second, Submit)
    assert (first.request.rid, second.request.rid, second.request.after) == ("r0", "r1", "r0")
    assert wait == steps(2)
    assert (abort, other) == (Abort(rid="r1"), Abort(rid="gone"))
