"""What tried cells say: they join the comparison, or count for nothing in its answer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exhausters.compare.reach_of_runs import ReachOfRuns
from exhausters.compare.reaching import Reaching, ReachOptions
from exhausters.compare.sources import Sources
from exhausters.compare.switches import Switch
from exhausters.observe.executed_source import ExecutedSource
from exhausters.reach.reached import Reach, UnreachedLines
from exhausters.sweep.cell import Cell
from exhausters.sweep.record import CRASHED, DRAINED, STALLED, TIMEOUT, UNSUPPORTED

_FILE = "exhausters/engine/fake/scheduler.py"
_CELL = Cell(workload="bursts")


def _sources(folder: Path) -> Sources:
    for side, value in (("base", 1), ("head", 2)):
        path = folder / side / _FILE
        path.parent.mkdir(parents=True)
        path.write_text(f"def f():\n    return {value}\n")
    return Sources(
        base=folder / "base",
        head=folder / "head",
        watched="exhausters/engine/fake",
        engine="fake",
        differing=frozenset({_FILE}),
    )


def _record(*lines: int, outcome: str = DRAINED) -> Any:
    executed = ExecutedSource(lines={_FILE: lines}, imported=(_FILE,))
    return SimpleNamespace(result=SimpleNamespace(executed=executed, outcome=outcome, reason=""))


def test_lines_that_only_a_tried_cell_executed_confirm_nothing(tmp_path: Path) -> None:
    """A change that no compared cell ran is not reached, however many tried cells ran it."""
    sides: Any = [
        SimpleNamespace(records={"compared": _record(1), "tried": _record(1, 2)}, unjudged={"tried"})
        for _ in range(2)
    ]
    measured = ReachOfRuns(_sources(tmp_path), *sides)
    every, compared = measured.measure(), measured.measure_compared()
    assert every is not None
    assert compared is not None
    assert (every.reached, compared.reached, compared.only_tried) == (2, 0, 2)
    assert compared.is_nothing_reached
    assert str(compared) == "0 of 2 changed lines reached, 2 only in cells that are not compared"


@pytest.mark.parametrize(
    ("outcomes", "joins"),
    [
        ((DRAINED, DRAINED), True),
        ((DRAINED, CRASHED), True),
        ((DRAINED, TIMEOUT), True),
        ((STALLED, DRAINED), True),
        ((CRASHED, CRASHED), False),
        ((TIMEOUT, CRASHED), False),
        ((UNSUPPORTED, DRAINED), False),
        ((UNSUPPORTED, UNSUPPORTED), False),
    ],
)
def test_what_ends_otherwise_on_one_build_joins(
    tmp_path: Path, outcomes: tuple[str, str], joins: bool
) -> None:
    """A crash or endless run of head alone is a finding; what one build or both cannot run is none."""
    base, head = (
        SimpleNamespace(records={_CELL.id: _record(outcome=outcome)}, unjudged=set[str]())
        for outcome in outcomes
    )
    did: list[str] = []
    runs: Any = SimpleNamespace(
        base=base,
        head=head,
        sides=(base, head),
        judge=lambda cell: did.append("judge"),
        run=lambda cells, name, **more: did.append(name),
        has_run=lambda cell: outcomes == (DRAINED, DRAINED),
    )
    Reaching(runs, _sources(tmp_path), ReachOptions())._judge_found(_CELL)
    assert did[:2] == (["judge", "decide"] if joins else [])
    assert ("counted" in did) == (outcomes == (DRAINED, DRAINED))


def test_variables_of_one_thing_are_tried_until_one_brings_nothing(tmp_path: Path) -> None:
    """Each costs two boots: after a weight of a formula that brought nothing, no other weight is tried."""
    place = UnreachedLines(file=_FILE, side="head", first_line=2, last_line=2)
    names = ("env.SGLANG_A_FORMULA_WEIGHT_ONE", "env.SGLANG_A_FORMULA_WEIGHT_TWO", "env.SGLANG_B")
    pairs = [(Switch(axis=name, value="1", unreached=place), Cell(workload="bursts")) for name in names]
    runs: Any = SimpleNamespace(head=SimpleNamespace(records={}), sides=({}, {}))
    reaching: Any = Reaching(runs, _sources(tmp_path), ReachOptions())
    tried: list[str] = []

    def brings_nothing(switch: Switch, cell: Cell, reach: Reach) -> Reach:
        tried.append(switch.axis)
        return reach

    reaching._measured = SimpleNamespace(may_be_reached=lambda reach: True)
    reaching._cells_to_try = lambda reach, near: pairs
    reaching._try_switch = brings_nothing
    reaching._try_switches(Reach(changed=1, reached=0, unreached=(place,)), [])
    assert tried == [names[0], names[2]]
    assert "no other variables SGLANG_A_FORMULA_WEIGHT_…" in reaching.tried[0]
