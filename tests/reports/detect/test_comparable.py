"""Promises about what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports import compare, load_side
from reports.detect.comparable import refusals
from tests.reports.make import HEAD, cells, write_sweep


@pytest.mark.parametrize(
    ("header", "change", "field"),
    [
        ({"grid_digest": "other"}, {}, "grid"),
        ({}, {"workload_digest": "other"}, "workload digest"),
        ({}, {"page_size": 64}, "page size that SGLang used"),
        ({}, {"forward_time_model": "constant/1"}, "forward-time model"),
        ({}, {"clock": "real"}, "clock"),
    ],
)
def test_what_differs_is_refused_with_the_reason(
    tmp_path: Path, header: dict[str, object], change: dict[str, object], field: str
) -> None:
    """Runs that differ in what the numbers depend on are not compared: exit code 2 and the reason."""
    base = load_side(str(write_sweep(tmp_path / "base")))
    head = load_side(
        str(
            write_sweep(
                tmp_path / "head",
                HEAD,
                lambda one: one | {"provenance": one["provenance"] | change},
                **header,
            )
        )
    )
    found = compare(base, head)
    assert found.decision.exit_code == 2
    assert [one.field for one in found.refusals if one.is_total] == [field]
    assert any(reason.startswith(f"refused: {field} differs") for reason in found.decision.reasons)
    assert found.verdicts.empty


def test_other_axes_are_other_cells(tmp_path: Path) -> None:
    """Sweeps at another page size have no cell in common, which is refused."""
    base = load_side(str(write_sweep(tmp_path / "a", grid=cells(page_sizes=[1]))))
    head = load_side(str(write_sweep(tmp_path / "b", HEAD, grid=cells(page_sizes=[64]))))
    assert [one.field for one in refusals(base, head)] == ["cells"]
    assert compare(base, head).decision.exit_code == 2


def test_the_requested_tree_core_is_compared_the_actual_one_noted(tmp_path: Path) -> None:
    """Releases whose default core differs can be compared; that it differs is a note."""

    def other_core(one: dict[str, object]) -> dict[str, object]:
        return one | {"provenance": {**one["provenance"], "tree_core": "RadixCache"}}  # type: ignore[dict-item]

    def asked(one: dict[str, object]) -> dict[str, object]:
        return one | {"engine": {**one["engine"], "tree_core": "python"}}  # type: ignore[dict-item]

    base = load_side(str(write_sweep(tmp_path / "a")))
    actual = compare(base, load_side(str(write_sweep(tmp_path / "b", HEAD, other_core))))
    assert actual.decision.exit_code == 0
    assert any("RadixCache" in note for note in actual.notes)
    requested = compare(base, load_side(str(write_sweep(tmp_path / "c", HEAD, asked))))
    assert [one.field for one in requested.refusals] == ["requested tree core"]
    assert requested.decision.exit_code == 2


def test_another_machine_rules_out_host_time_only(tmp_path: Path) -> None:
    """Decisions do not depend on the machine: they are compared, and the difference is reported."""
    base = load_side(str(write_sweep(tmp_path / "a", machine="one")))
    head = load_side(str(write_sweep(tmp_path / "b", HEAD, machine="two")))
    found = compare(base, head)
    assert found.decision.exit_code == 0
    assert [one.kinds for one in found.refusals] == [("host_time",)]


def test_a_side_that_mixes_is_refused(tmp_path: Path) -> None:
    """One build measured under two forward-time models is no side of a comparison."""
    write_sweep(tmp_path / "all" / "a")
    write_sweep(
        tmp_path / "all" / "b",
        change=lambda one: one | {"provenance": one["provenance"] | {"forward_time_model": "constant/1"}},
    )
    mixed = load_side(str(tmp_path / "all"))
    assert compare(mixed, mixed).decision.exit_code == 2
