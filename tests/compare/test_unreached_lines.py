"""What is tried for changed lines that no run has executed, and when the search for them ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from exhausters.compare import reaching as module
from exhausters.compare.reaching import Reaching, ReachOptions
from exhausters.compare.sources import Sources
from exhausters.compare.switches import Switch
from exhausters.observe.decision_log import DecisionLog
from exhausters.reach.reached import UnreachedLines
from exhausters.sweep.cell import Cell
from exhausters.sweep.grid import Grid
from exhausters.sweep.record import DRAINED
from exhausters.sweep.run_options import LINES
from tests.compare.test_reaching import _CELL, _FILE, _record, _sources

_TEXT = """def f(wait):
    if wait:
        return {value}
    return 0


class C:
    def __init__(self):
        self.a = {value}
"""
# Lines of it: a guard, what is behind it and changed, and what is changed in a constructor.
_GUARD, _BEHIND, _CONSTRUCTOR = 2, 3, 9


class _Progress:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class _Runs:
    """Stands where `Runs` stand: a cell executes what `executes` says of it, on both builds alike."""

    def __init__(self, *cells: Cell, executes: Callable[[Cell], Sequence[int] | None]) -> None:
        self.grid = Grid(name="g", cells=cells)
        self.progress = _Progress()
        self.base, self.head = (
            SimpleNamespace(records=dict[str, Any](), unjudged=set[str](), target=name) for name in "ab"
        )
        for cell in cells:
            self._keep(cell, (1,))
        self._executes = executes
        self.tried: list[Cell] = []
        self.judged: list[Cell] = []
        self.said: list[str] = []
        self.differing = False
        self.limits: list[Any] = []

    @property
    def sides(self) -> tuple[Any, Any]:
        return self.base, self.head

    def _keep(self, cell: Cell, lines: Sequence[int] | None, outcome: str = DRAINED) -> None:
        for side in self.sides:
            record = _record(*(lines or ()), outcome=outcome)
            if lines is None:
                record.result.executed = None
            record.result.log = DecisionLog(())
            record.result.provenance = {}
            side.records[cell.id] = record

    def has_run(self, cell: Cell) -> bool:
        return cell.id in self.head.records

    def try_cell(self, cell: Cell) -> None:
        self.tried.append(cell)
        for side in self.sides:
            side.unjudged.add(cell.id)

    def judge(self, cell: Cell) -> None:
        self.judged.append(cell)
        for side in self.sides:
            side.unjudged.discard(cell.id)

    def run(self, cells: Sequence[Cell], name: str, *, limits: Any = None) -> None:
        self.limits.append(limits)
        if name == LINES:
            for cell in cells:
                self._keep(cell, self._executes(cell))

    def difference(self, cell: Cell) -> str:
        return "step 1" if self.differing else ""

    @contextmanager
    def stage(self, name: str) -> Iterator[list[str]]:
        said: list[str] = []
        yield said
        self.said += [f"{name}: {one}" for one in said]


@pytest.fixture(name="sources")
def _guarded(tmp_path: Path) -> Sources:
    """A change of what is behind a guard, and of a constructor."""
    found = _sources(tmp_path)
    for side, value in (("base", 1), ("head", 2)):
        (tmp_path / side / _FILE).write_text(_TEXT.format(value=value))
    return found


@pytest.fixture(name="booted")
def _booted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A boot executes the constructor and nothing else of the change."""
    lines = {_FILE: frozenset({8, _CONSTRUCTOR})}
    monkeypatch.setattr(module, "boot_lines", lambda targets, engine: (lines, lines))


def _reaching(runs: _Runs, sources: Sources, **options: Any) -> Any:
    return Reaching(cast(Any, runs), sources, ReachOptions(**options))


def test_equal_sources_have_nothing_to_reach(sources: Sources) -> None:
    """Nothing is run for their sake, and the answer is not taken for a change that nobody reached."""
    runs = _Runs(_CELL, executes=lambda cell: (1,))
    found = _reaching(runs, replace(sources, differing=frozenset())).run()
    assert (found.changed, found.is_nothing_reached) == (0, False)
    assert runs.limits == []


@pytest.mark.parametrize("lines", [None, "no cell"])
def test_without_lines_there_is_no_reach(sources: Sources, lines: str | None) -> None:
    """Where no cell ran, or none recorded its lines, nothing is claimed about the change."""
    runs = _Runs(_CELL, executes=lambda cell: None)
    if lines == "no cell":
        runs.head.records.clear()
    assert _reaching(runs, sources).run() is None


@pytest.mark.usefixtures("booted")
def test_without_a_run_that_is_compared_nothing_is_confirmed(sources: Sources) -> None:
    """What tried cells alone have executed is told as theirs, also where no other cell has lines."""
    runs = _Runs(_CELL, executes=lambda cell: (1, _GUARD, _BEHIND))
    runs.try_cell(_CELL)
    found = _reaching(runs, sources, max_mutations=0).run()
    assert (found.reached, found.only_tried, found.changed) == (0, 2, 4)
    assert found.is_nothing_reached


@pytest.mark.usefixtures("booted")
def test_what_only_a_boot_runs_is_told_apart(sources: Sources) -> None:
    """No cell is tried for a constructor; the lines count as those of a boot."""
    runs = _Runs(_CELL, executes=lambda cell: (1, _GUARD, _BEHIND))
    found = _reaching(runs, sources, max_mutations=0).run()
    assert (found.reached, found.boot_only, found.unreached) == (2, 2, ())
    assert runs.tried == []


@pytest.mark.usefixtures("booted")
def test_a_search_ends_with_what_it_looked_for(sources: Sources) -> None:
    """The mutation that executes the missing line joins the comparison, and no further one is run."""
    runs = _Runs(_CELL, executes=lambda cell: (1, _GUARD, _BEHIND) if len(runs.tried) >= 3 else (1,))
    reaching = _reaching(runs, sources, max_mutations=40)
    found = reaching.run()
    assert found.unreached == ()
    assert len(runs.tried) == 3
    assert runs.judged == runs.tried[-1:]
    assert len({cell.id for cell in (_CELL, *runs.tried)}) == 4
    assert reaching.tried[-1].startswith("search: 3 mutations of ")


@pytest.mark.usefixtures("booted")
def test_a_search_is_bounded_and_judges_nothing_that_brought_nothing(sources: Sources) -> None:
    """After so many mutations it ends; their runs have a limit of steps, and none is compared."""
    runs = _Runs(_CELL, executes=lambda cell: (1,))
    found = _reaching(runs, sources, max_mutations=4).run()
    assert found.unreached != ()
    assert 1 <= len(runs.tried) <= 4
    assert runs.judged == []
    assert all(one is not None for one in runs.limits[1:])


@pytest.mark.usefixtures("booted")
def test_a_tried_cell_that_builds_decide_differently_is_compared(sources: Sources) -> None:
    """It reached nothing more, and yet is what the comparison is for."""
    runs = _Runs(_CELL, executes=lambda cell: (1,))
    runs.differing = True
    _reaching(runs, sources, max_mutations=2).run()
    assert runs.judged == runs.tried != []


@pytest.mark.usefixtures("booted")
def test_a_large_change_is_not_searched(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release names too many switches to try any; what was reached is told, and why no more was tried."""
    monkeypatch.setattr(module, "_MAX_LINES_TO_TRY", 1)
    runs = _Runs(_CELL, executes=lambda cell: (1,))
    reaching = _reaching(runs, sources)
    assert reaching.run().changed > 1
    assert runs.tried == []
    assert reaching.tried[0].startswith("nothing: ")


def _switch(name: str) -> Switch:
    place = UnreachedLines(file=_FILE, side="head", first_line=_BEHIND, last_line=_BEHIND)
    return Switch(axis=name, value="1", unreached=place)


@pytest.mark.usefixtures("booted")
def test_switches_are_tried_until_all_is_reached(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that lets the line run joins the comparison; those after it cost no boots."""
    monkeypatch.setattr(
        module, "find_switches", lambda *_, **__: tuple(_switch(f"env.SGLANG_{one}") for one in "ABC")
    )
    runs = _Runs(
        _CELL, executes=lambda cell: (1, *((_GUARD, _BEHIND) if ("SGLANG_B", "1") in cell.engine.env else ()))
    )
    reaching = _reaching(runs, sources)
    reaching._known = SimpleNamespace(has=lambda cell: True)
    assert reaching.run().unreached == ()
    assert [dict(cell.engine.env) for cell in runs.tried] == [{"SGLANG_A": "1"}, {"SGLANG_B": "1"}]
    assert runs.judged == runs.tried[1:]
    assert "reached nothing more" in reaching.tried[0]
    assert "reached 2 more lines" in reaching.tried[1]


@pytest.mark.usefixtures("booted")
def test_switches_are_bounded_and_the_rest_is_told(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each boots both builds again: after so many the others are counted, not tried."""
    monkeypatch.setattr(
        module, "find_switches", lambda *_, **__: tuple(_switch(f"env.SGLANG_{one}") for one in "ABC")
    )
    runs = _Runs(_CELL, executes=lambda cell: (1,))
    reaching = _reaching(runs, sources, max_switches=1, max_mutations=0)
    reaching.run()
    assert len(runs.tried) == 1
    assert reaching.tried[1].startswith("2 more switches ")


@pytest.mark.usefixtures("booted")
def test_a_setting_that_one_build_lacks_is_not_judged(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cell counts for what it reached, and would only leave the comparison undecided."""
    monkeypatch.setattr(module, "find_switches", lambda *_, **__: (_switch("env.SGLANG_A"),))
    runs = _Runs(_CELL, executes=lambda cell: (1, *((_GUARD, _BEHIND) if cell.engine.env else ())))
    reaching = _reaching(runs, sources, max_mutations=0)
    found = reaching.run()
    assert runs.judged == []
    assert found.only_tried == 2
    assert "one build lacks a setting of its cell" in reaching.tried[0]
