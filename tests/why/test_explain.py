"""Everything at once, on fake schedulers in worker processes of their own."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.errors import ScriptFailedError, UsageError
from exhausters.sweep.cell import Cell
from exhausters.sweep.workers import Workers
from exhausters.why import explain as module
from exhausters.why.explain import explain_difference, first_differing_cell
from exhausters.why.sides import Sides
from exhausters.why.tables import explanation_view
from tests.fakes.fake_target import fake_target

BASE, HEAD = fake_target(), replace(fake_target(), name="other")
CELL = Cell(workload="shared_prefix:requests=6")


def _text(explained: module.Explanation) -> str:
    out = io.StringIO()
    Console(width=140, file=out).print(explanation_view(explained))
    return out.getvalue()


def test_equal_builds(tmp_path: Path) -> None:
    """Two builds that are equal have no divergence, no row and no reproducer, but profiles to look at."""
    explained = explain_difference(BASE, HEAD, CELL, tmp_path / "out")
    assert (explained.sentence, explained.reproducer, explained.notes) == (None, None, ())
    assert explained.profile is not None
    assert (explained.profile.calls, explained.profile.lines) == ((), ())
    assert explained.profile.base_calls > 0
    assert {path.name for path in explained.files} == {
        f"{side}.{ending}"
        for side in ("base", "head")
        for ending in ("speedscope.json", "collapsed.txt", "trace.json")
    }
    assert all(path.is_file() for path in explained.files)
    text = _text(explained)
    assert "All decisions are equal." in text
    assert "no function differs" in text


def test_one_build_is_refused() -> None:
    """A build is not compared with itself."""
    with pytest.raises(UsageError, match="fake against itself"):
        explain_difference(BASE, BASE, CELL)


def test_no_cell_differs() -> None:
    """Of cells in which equal builds decide the same, none is chosen."""
    with Workers(limit=2) as workers, Sides(workers, BASE, HEAD) as sides:
        assert first_differing_cell(sides, [CELL, replace(CELL, workload="bursts:burst_requests=2")]) is None


def test_a_cell_without_a_profile_is_still_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the explaining pass fails, the decisions are compared all the same, and a note says why."""
    monkeypatch.setattr(module, "profile_cell", _fails)
    explained = explain_difference(BASE, HEAD, CELL)
    assert explained.profile is None
    assert explained.sentence is None
    assert explained.notes[0].startswith(f"no profile: {ScriptFailedError.__name__}")


def _fails(t: object, *_: object) -> None:
    raise RuntimeError(FakeScheduler.__name__)
