"""Cells are chosen by the map: those that execute what changed, without and under pressure, and a guard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from exhausters.compare.choose import MAX_CELLS, MAX_ENGINES, by_map, choose_cells
from exhausters.compare.sources import Sources
from exhausters.pressure.levels import PressureLevels
from exhausters.reach.cell_map import CellMap, read_cell_map
from exhausters.reach.changed_functions import ChangedFunctions
from exhausters.reach.functions import Function
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.grid import load_grid

_ADD, _EVICT, _NEW = (Function("sglang/srt/a.py", name) for name in ("Adder.add", "evict", "rank"))
_GUARD = (Cell(workload="agents"),)
_TIGHT = PressureLevels(leave_pages=56)


def _changed(*touched: Function, callers: Iterable[Function] = ()) -> ChangedFunctions:
    return ChangedFunctions(
        touched={one: frozenset({3}) for one in touched},
        callers=frozenset(callers),
        files=frozenset(one.file for one in touched),
    )


def _map(executed: dict[Cell, dict[Function, set[int]]], seconds: dict[Cell, float] | None = None) -> CellMap:
    return CellMap(
        build="release:0.5.23",
        measured="2026-07-01",
        grids={},
        seconds={cell.id: (seconds or {}).get(cell, 0.1) for cell in executed},
        executed={
            cell.id: {function: frozenset(lines) for function, lines in found.items()}
            for cell, found in executed.items()
        },
    )


def _chosen(changed: ChangedFunctions, cell_map: CellMap, pool: Iterable[Cell]) -> tuple[set[Cell], str]:
    choice = by_map(changed, cell_map=cell_map, pool=tuple(pool), guard=_GUARD)
    return set(choice.grid.cells) - set(_GUARD), choice.sentence


def test_a_cell_without_and_one_under_pressure_execute_each_changed_function() -> None:
    """The cheapest of equals are taken, the others left, and the sentence says how many there were."""
    calm, tight = Cell(workload="bursts"), Cell(workload="bursts", levels=_TIGHT)
    dear, other = Cell(workload="long_context"), Cell(workload="many_leaves")
    executed = {calm: {_ADD: {3}}, tight: {_ADD: {3}}, dear: {_ADD: {3}}, other: {_EVICT: {1}}}
    chosen, sentence = _chosen(_changed(_ADD), _map(executed, {dear: 9.0}), executed)
    assert chosen == {calm, tight}
    assert sentence == ("3 of 4 cells of the pool execute `Adder.add`; chosen 2, and 1 to guard")


def test_a_cell_that_alone_executes_a_branch_near_the_change_is_worth_its_boot() -> None:
    """The function is executed by a cheap cell too, but not the lines beside the changed one."""
    cheap = Cell(workload="bursts", engine=_GUARD[0].engine)
    branch = Cell(workload="bursts", engine=EngineSettings(policy="lpm"))
    useless = Cell(workload="bursts", engine=EngineSettings(policy="lof"))
    executed = {cheap: {_ADD: {1}}, branch: {_ADD: {1, 3, 4}}, useless: {_ADD: {1}, _EVICT: {1, 2}}}
    assert _chosen(_changed(_ADD), _map(executed), executed)[0] == {cheap, branch}


def test_branches_near_the_change_come_before_far_ones() -> None:
    """Where boots run out, the far branches of a long function are left."""
    settings = [EngineSettings(chunked_prefill_size=64 * number) for number in range(5, 15)]
    near, *far = (Cell(workload="bursts", engine=engine) for engine in settings)
    executed = {cell: {_ADD: {1, 100 + number}} for number, cell in enumerate(far)}
    chosen, _ = _chosen(_changed(_ADD), _map({**executed, near: {_ADD: {1, 5}}}), [*far, near])
    assert near in chosen
    assert len(chosen) == MAX_ENGINES - 1


def test_a_new_function_is_looked_for_through_its_callers() -> None:
    """No cell of the map can execute what only head has; those that execute its caller are taken."""
    calling, other = Cell(workload="bursts"), Cell(workload="many_leaves")
    executed = {calling: {_ADD: {1}}, other: {_EVICT: {1}}}
    chosen, sentence = _chosen(_changed(_NEW, callers=[_ADD]), _map(executed), executed)
    assert chosen == {calling}
    assert "`Adder.add`, which call what is new" in sentence


def test_a_function_that_no_cell_is_known_to_execute_is_looked_for_in_its_file() -> None:
    """The cells that execute most of the other functions of that file are taken, and the sentence says so."""
    one, other, same = Cell(workload="bursts"), Cell(workload="many_leaves"), Cell(workload="long_context")
    elsewhere = Function("sglang/srt/b.py", "run")
    executed = {one: {_ADD: {1}}, other: {elsewhere: {1, 2}}, same: {elsewhere: {1}}}
    chosen, sentence = _chosen(_changed(_NEW), _map(executed), executed)
    assert chosen == {one}
    assert sentence.startswith(
        "1 of 3 cells of the pool execute other functions of `sglang/srt/a.py`; chosen 1"
    )


def test_a_file_that_no_cell_is_known_to_execute_is_looked_for_widely() -> None:
    """The cells that execute most of all are taken; the sentence claims no more."""
    one, other, same = Cell(workload="bursts"), Cell(workload="many_leaves"), Cell(workload="long_context")
    executed = {one: {_ADD: {1}}, other: {_EVICT: {1, 2}}, same: {_EVICT: {1}}}
    chosen, sentence = _chosen(_changed(Function("sglang/srt/b.py", "rank")), _map(executed), executed)
    assert chosen == {one, other}
    assert sentence.startswith("no cell of the pool is known to execute `rank`; chosen 2")


def test_cells_and_boots_are_bounded() -> None:
    """However many cells bring something of their own."""
    pool = [
        Cell(workload=f"bursts:seed={seed}", engine=EngineSettings(chunked_prefill_size=64 * (1 + seed % 9)))
        for seed in range(60)
    ]
    changed = replace(_changed(_ADD), touched={_ADD: frozenset(range(60))})
    executed = {cell: {_ADD: {number}} for number, cell in enumerate(pool)}
    chosen, _ = _chosen(changed, _map(executed), pool)
    assert len(chosen) <= MAX_CELLS
    assert len({cell.engine for cell in (*chosen, *_GUARD)}) == MAX_ENGINES


def _sources(folder: Path, base: str, head: str) -> Sources:
    file = "sglang/srt/managers/schedule_policy.py"
    for side, text in (("base", base), ("head", head)):
        path = folder / side / file
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return Sources(
        base=folder / "base",
        head=folder / "head",
        watched="sglang/srt",
        engine="sglang",
        differing=frozenset({file}),
    )


def test_a_change_of_too_many_lines_is_compared_on_the_stock_grid(tmp_path: Path) -> None:
    """A release touches nearly everything: there is nothing to choose by."""
    body = "".join(f"    a{number} = 1\n" for number in range(500))
    choice = choose_cells(_sources(tmp_path, f"def f():\n{body}", f"def f():\n{body.replace('1', '2')}"))
    assert choice.grid.digest == load_grid("quick").digest
    assert not choice.is_by_map
    assert "touches too much" in choice.sentence


def test_builds_without_a_difference_are_compared_on_the_stock_grid() -> None:
    """What cannot be told apart by source is not narrowed down either."""
    assert choose_cells(None).grid.digest == load_grid("quick").digest


@pytest.mark.parametrize("seed", [0, 1])
def test_the_guard_is_always_there(tmp_path: Path, seed: int) -> None:
    """Every cell of `short` is compared whatever changed."""
    choice = choose_cells(
        _sources(tmp_path, "def f():\n    return 0\n", f"def f():\n    return {seed + 1}\n")
    )
    assert {cell.id for cell in load_grid("short").cells} <= {cell.id for cell in choice.grid.cells}


@pytest.mark.parametrize(
    ("folder", "switch"),
    [
        ("speculative", "speculative_algorithm"),
        ("mem_cache/pool_host", "enable_hierarchical_cache"),
        ("lora", "enable_lora"),
        ("disaggregation", "disaggregation_mode"),
        ("mem_cache/unified_cache/components/mamba", "max_mamba_cache_size"),
    ],
)
def test_a_change_of_a_feature_is_compared_on_an_engine_that_has_it(folder: str, switch: str) -> None:
    """Each function there that any cell executes is executed by a cell that is chosen for a change of it."""
    cell_map, guard = read_cell_map(), load_grid("short").cells
    pool = [cell for cell in load_grid("pool").cells if cell.id in cell_map.executed]
    inside = sorted(one for one in cell_map.functions if one.file.startswith(f"sglang/srt/{folder}"))
    of_the_feature = 0
    for function in inside:
        choice = by_map(_changed(function), cell_map=cell_map, pool=pool, guard=guard)
        reaching = [one for one in choice.grid.cells if function in cell_map.executed[one.id]]
        assert reaching, function
        of_the_feature += any(switch in dict(one.engine.server_args) for one in reaching)
    assert of_the_feature > len(inside) / 2
