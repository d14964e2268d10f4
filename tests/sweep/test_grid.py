"""Grids: a TOML file becomes cells, or an error that names the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exhausters.errors import GridError
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.grid import BUILT_IN, Grid, axis_names, load_grid, parse_grid
from tests.sweep.samples import a_grid


def _grid(**axes: Any) -> Grid:
    return parse_grid({"name": "mine", "axes": {"workload": ["bursts"], **axes}}, source="mine.toml")


@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ({"leave_page": [1]}, "no axis 'leave_page'; the axes are workload,"),
        ({"page_size": []}, "page_size = []: expected a list"),
        ({"page_size": 16}, "page_size = 16: expected a list"),
        ({"page_size": [0]}, "page_size=0: expected an integer >= 1"),
        ({"page_size": ["16"]}, "page_size='16': expected an integer"),
        ({"page_size": [True]}, "page_size=True: expected an integer"),
        ({"leave_pages": [-1]}, "leave_pages=-1: must be an integer >= 0"),
        ({"leave_pages": ["some"]}, "leave_pages='some': must be an integer"),
        ({"leave_rows": [1.5]}, "leave_rows=1.5: must be an integer"),
        ({"held": ["yes"]}, "held='yes': must be True"),
        ({"held": ["yes"], "leave_pages": [1]}, "held='yes': must be True"),
        ({"overlap": ["no"]}, "overlap='no': expected true or false"),
        ({"policy": [""]}, "policy='': expected a policy of SGLang, e.g. fcfs or lpm"),
        ({"tree_core": ["c"]}, "tree_core='c': expected one of default,"),
        ({"model": ["llama"]}, "model='llama': expected one of dense"),
        ({"model": [["dense"]]}, "expected one of dense"),
        ({"workload": ["no_such"]}, "workload='no_such': is unknown"),
        ({"workload": [5]}, "workload=5: expected a workload as text"),
        ({"workload": ["bursts:seed=x"]}, "bursts: seed='x': must be of type int"),
    ],
)
def test_a_bad_axis_is_named(axes: dict[str, Any], told: str) -> None:
    """A value that makes no sense is a GridError with the file, the axis, the value and what was expected."""
    with pytest.raises(GridError, match=r"grid 'mine\.toml'") as caught:
        _grid(**axes)
    assert told in str(caught.value)


def test_a_title_names_the_cells_of_its_parts() -> None:
    """Parts of one title are one feature; a title changes no cell, and one that is no text is refused."""
    parts: list[dict[str, Any]] = [
        {"title": "small", "page_size": [1]},
        {"page_size": [8]},
        {"title": "small", "page_size": [16]},
    ]
    document = {"name": "mine", "axes": {"workload": ["bursts"]}, "parts": parts}
    grid = parse_grid(document, source="mine.toml")
    untitled = [{axis: values for axis, values in part.items() if axis != "title"} for part in parts]
    assert grid.digest == parse_grid({**document, "parts": untitled}, source="mine.toml").digest
    assert grid.titles == (("small", (grid.cells[0].id, grid.cells[2].id)),)
    with pytest.raises(GridError, match="title = 3: expected a text"):
        parse_grid({**document, "parts": [{"title": 3}]}, source="mine.toml")


def test_parts_add_cells_on_top_of_common_axes() -> None:
    """Each part replaces or adds axes for its own cells; a cell of two parts is there once."""
    parts = [{"page_size": [1, 16]}, {"workload": ["agents"], "page_size": [16]}, {"page_size": [16]}]
    document = {"name": "mine", "axes": {"workload": ["bursts"]}, "parts": parts}
    cells = parse_grid(document, source="mine.toml").cells
    assert [(cell.workload, cell.engine.page_size) for cell in cells] == [
        ("bursts", 1),
        ("bursts", 16),
        ("agents", 16),
    ]


@pytest.mark.parametrize("parts", [[], {}, [1], [{"pages": [1]}]])
def test_parts_that_make_no_sense_are_refused(parts: Any) -> None:
    """They are tables of axes, one or more."""
    with pytest.raises(GridError):
        parse_grid({"axes": {"workload": ["bursts"]}, "parts": parts}, source="mine.toml")


@pytest.mark.parametrize(
    "document", [{}, {"axes": []}, {"name": "x"}, {"axes": {"workload": ["bursts"]}, "cells": 1}]
)
def test_a_document_of_another_form_is_refused(document: dict[str, Any]) -> None:
    """Anything but a name and a table of axes is refused."""
    with pytest.raises(GridError, match=r"expected `name` and a table \[axes\]"):
        parse_grid(document, source="mine.toml")


def test_a_grid_needs_a_workload() -> None:
    """Without the axis workload there is nothing to run."""
    with pytest.raises(GridError, match="the axis workload is missing"):
        parse_grid({"axes": {"page_size": [1]}}, source="mine.toml")


def test_no_such_file() -> None:
    """A name that is neither built in nor a file lists the built-in ones, and names the one that is near."""
    with pytest.raises(GridError, match=r"expected one of .*quick.* or a TOML file; there is no such file"):
        load_grid("no/such.toml")
    with pytest.raises(GridError, match=r"did you mean 'quick'\?"):
        load_grid("quik")


def test_not_toml(tmp_path: Path) -> None:
    """A file that is no TOML, no text, or no file at all is a GridError too."""
    (tmp_path / "a.toml").write_text("axes = [")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    for name, told in (("a.toml", "not TOML"), ("b.toml", "not TOML"), ("", "directory")):
        with pytest.raises(GridError, match=told):
            load_grid(str(tmp_path / name))


def test_all_leaves_a_resource_alone() -> None:
    """`"all"` is no level; numbers are levels."""
    cells = _grid(leave_pages=["all", 0, 5]).cells
    assert [cell.levels.leave_pages for cell in cells] == [None, 0, 5]
    assert all(cell.levels.leave_refs is None for cell in cells)


def test_equal_cells_come_once() -> None:
    """Values given twice, and ways of taking nothing, are one cell."""
    cells = _grid(leave_pages=["all", 5, 5], held=[False, True], workload=["bursts", "bursts:"[:-1]]).cells
    assert [(cell.levels.leave_pages, cell.levels.held) for cell in cells] == [
        (None, False),
        (5, False),
        (5, True),
    ]


def test_engine_settings_are_outermost() -> None:
    """Cells of one engine setting are neighbours, so that one boot serves them, whatever the file's order."""
    cells = parse_grid(
        {"axes": {"leave_pages": [1, 2], "workload": ["bursts", "agents"], "page_size": [16, 1]}},
        source="x",
    ).cells
    assert [(c.engine.page_size, c.workload, c.levels.leave_pages) for c in cells] == [
        (page_size, workload, pages)
        for page_size in (16, 1)
        for workload in ("bursts", "agents")
        for pages in (1, 2)
    ]


def test_workloads_are_kept_in_canonical_text() -> None:
    """Two spellings of one workload are one cell."""
    assert len(_grid(workload=["bursts:seed=3", "bursts: seed = 3"]).cells) == 1


def test_digest_follows_the_cells() -> None:
    """The digest is that of the cells in their order; the grid's name is not part of it."""
    one, same = _grid(leave_pages=[1, 2]), _grid(leave_pages=[1, 2])
    assert one.digest == same.digest == Grid(name="another", cells=one.cells).digest
    assert one.digest != _grid(leave_pages=[2, 1]).digest
    assert one.digest != _grid(leave_pages=[1]).digest


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_grids(name: str) -> None:
    """Every built-in grid can be read, has its own name, and its cells have different ids."""
    grid = load_grid(name)
    assert grid.name == name
    assert len({cell.id for cell in grid.cells}) == len(grid.cells) > 0


def test_a_file_is_read_like_a_built_in_grid(tmp_path: Path) -> None:
    """A grid of one's own needs no more than axes; its name is then its path."""
    path = tmp_path / "mine.toml"
    path.write_text('[axes]\nworkload = ["bursts"]\nleave_rows = [2]\nheld = [true]\n')
    grid = load_grid(str(path))
    assert grid.name == str(path)
    assert [cell.levels for cell in grid.cells] == [PressureLevels(leave_rows=2, held=True)]


def test_axes_are_the_documented_ones() -> None:
    """The axes are the workload, the levels, `held` and every engine setting."""
    axes = axis_names()
    levels = ("leave_pages", "leave_refs", "leave_rows", "leave_host_pages", "leave_window_tokens")
    more = ("leave_mamba_slots", "leave_lora_slots", "leave_prealloc_slots")
    assert axes[:10] == ("workload", *levels, *more, "held")
    assert {"page_size", "policy", "overlap", "tree_core"} <= set(axes)


def test_the_default_grid_is_worth_a_night() -> None:
    """The default grid has at least 96 cells over four or more workloads, without any trace at hand."""
    grid = load_grid("default")
    generated = [cell for cell in grid.cells if not cell.workload.startswith("mooncake")]
    assert len(generated) >= 96
    assert len({cell.workload for cell in generated}) >= 4


def test_cells_are_chosen_by_pattern() -> None:
    """Patterns are those of a shell, several add up, and the grid's order and name stay."""
    grid = a_grid(workload=["bursts", "agents"], leave_pages=["all", 64])
    assert grid.select(()) is grid
    chosen = grid.select(["*pages=64*", "agents/*"])
    assert [cell.id.split("/")[0] for cell in chosen.cells] == ["bursts", "agents", "agents"]
    assert chosen.name == grid.name
    assert chosen.digest != grid.digest
    exact = grid.cells[0].id
    assert [cell.id for cell in grid.select([exact]).cells] == [exact]


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    """The error names the pattern and the nearest cells."""
    with pytest.raises(GridError, match=r"cells '\*agent_\*': matches none of 2 cells.*agents/p16"):
        a_grid(workload=["bursts", "agents"]).select(["*agent_*"])


@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ({"leave_pages": [257]}, "leave_pages=257: the pool has 256 pages"),
        ({"leave_pages": [40], "max_total_tokens": [512]}, "the pool has 32 pages"),
        ({"leave_rows": ["all", 65]}, "leave_rows=65: the pool has 64 rows"),
    ],
)
def test_a_level_above_every_pool_is_refused(axes: dict[str, Any], told: str) -> None:
    """It would take nothing, and its cell would pass for one under pressure."""
    with pytest.raises(GridError, match=told):
        a_grid(**axes)


def test_a_level_that_one_pool_of_the_grid_has_is_taken() -> None:
    """Axes are multiplied: beside a larger pool the level makes sense. A whole pool is a level, too."""
    assert len(a_grid(leave_pages=[300], max_total_tokens=[4096, 8192]).cells) == 2
    assert len(a_grid(leave_pages=[256], leave_rows=[64], leave_refs=[100_000]).cells) == 1
