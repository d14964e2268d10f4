"""A case as a test that a maintainer can run: every operation has its line, every promise its end."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, cast

import pytest

from exhausters.errors import BootError, HostError, ScriptFailedError, UsageError
from exhausters.fuzz.cases import Case
from exhausters.fuzz.operations import Abort, Exhaust, Flush, Operation, Pause, Release, Resume, Submit
from exhausters.fuzz.play import CLEAN_END, NO_CRASH
from exhausters.fuzz.script_file import fails, script_text
from exhausters.fuzz.shrink import ShrunkCase
from exhausters.oracles import Finding
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.workers import Lease
from exhausters.workloads import Request, Segment, Session
from tests.fakes.fake_target import fake_target
from tests.fuzz.in_process import ENGINE, script, steps


def _text(*operations: Operation, promise: str = "liveness") -> str:
    finding = Finding(promise=promise, wants="an end", saw="none", step=3, first_step=1)
    shrunk = ShrunkCase(
        case=Case(engine=ENGINE, script=script(*operations)),
        finding=finding,
        runs=1,
        is_minimal=True,
        tried=(),
    )
    return script_text(shrunk, target="release:0.5.23", file="test_x.py")


def _calls(text: str) -> list[str]:
    """The calls of the script's body and of what follows it, as Python, in order."""
    (function,) = [one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef)]
    block, *end = function.body
    assert isinstance(block, ast.With)
    return [ast.unparse(one) for one in (*block.body, *end)]


def _request(**fields: Any) -> Request:
    given: dict[str, Any] = {
        "rid": "r0",
        "arrival_seconds": 0.0,
        "prompt": (Segment(seed=1, length=3),),
        "max_new_tokens": 1,
    }
    return Request(**given | fields)


_SESSION = Session(name="s", streams=True)
_LATER = Session(name="s", streams=True, has_tokens=2)


@pytest.mark.parametrize(
    ("operation", "line"),
    [
        (Submit(request=_request()), "run.submit('r0', [101] * 3)"),
        (
            Submit(request=_request(max_new_tokens=9, ignore_eos=True, priority=0)),
            "run.submit('r0', [101] * 3, max_new_tokens=9, ignore_eos=True, priority=0)",
        ),
        (
            Submit(request=_request(adapter="a", session=_SESSION)),
            "run.submit('r0', [101] * 3, adapter='a', session=Session(name='s', streams=True))",
        ),
        (
            Submit(request=_request(after="r9", session=_LATER)),
            "run.submit('r0', [101] * 3, after='r9', session=Session(name='s', streams=True, has_tokens=2))",
        ),
        (steps(4), "yield from run.steps(4)"),
        (Abort(rid="r0"), "run.abort('r0')"),
        (
            Abort(rid="r0", stage="running", within_steps=2),
            "if (yield from run.until('r0', 'running', within=2)):\n    run.abort('r0')",
        ),
        (Pause(mode="retract"), "run.pause('retract')"),
        (Resume(), "run.resume()"),
        (
            Exhaust(levels=PressureLevels(leave_pages=0, leave_rows=2)),
            "run.exhaust(leave_pages=0, leave_rows=2)",
        ),
        (Exhaust(levels=PressureLevels(leave_rows=2, held=True)), "run.exhaust(leave_rows=2, held=True)"),
        (Release(), "run.release()"),
        (Flush(), "yield from run.flush()"),
    ],
    ids=lambda one: one.name if isinstance(one, Operation) else "",
)
def test_every_operation_has_its_line(operation: Operation, line: str) -> None:
    """The script does what the case did, with every field that is not the default."""
    first, drain, _ = _calls(_text(operation))
    assert first == line
    assert drain == "yield from run.drain()"


def test_an_operation_without_a_line_is_no_script() -> None:
    """A kind of operation that is added later cannot be left out of a script unseen."""
    with pytest.raises(AssertionError, match="an operation without a line"):
        _text(Operation())


def test_the_end_of_a_script_is_that_of_its_promise() -> None:
    """An oracle is asked, a clean end is tried, and a crash needs no question; names used are imported."""
    *_, asked = _calls(_text(steps(1), promise="liveness"))
    assert asked == "run.expect_kept('liveness')"
    clean = _text(steps(1), promise=CLEAN_END)
    assert _calls(clean)[-1] == "yield from reset_engine(t)"
    assert "import reset_engine" in clean
    assert _calls(_text(steps(1), promise=NO_CRASH))[-1] == "yield from run.drain()"
    with_session = _text(Submit(request=_request(session=_SESSION)))
    assert "import Session\n" in with_session
    assert "import Session\n" not in clean


class _Lease:
    """Stands where a lease and its host stand; a script ends as given."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def host(self, *_: Any) -> _Lease:
        return self

    def run(self, _: Any) -> None:
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize(
    ("error", "is_failure"),
    [
        (None, False),
        (AssertionError(), True),
        (HostError("gone"), True),
        (UsageError("no such keyword"), False),
        (ScriptFailedError("liveness: broken from step 3"), True),
        (BootError("refused"), False),
    ],
)
def test_only_what_shows_the_bug_proves_a_script(
    error: Exception | None, is_failure: bool, tmp_path: Path
) -> None:
    """A broken promise or a worker's end does; a script that cannot run on this build proves nothing."""
    case = Case(engine=ENGINE, script=script(steps(1)))
    assert fails(tmp_path / "x.py", case, fake_target(), cast(Lease, _Lease(error))) is is_failure
