"""Cells that one build does not support, and free axes, in frames and verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exhausters.pressure import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.record import UNSUPPORTED
from reports import compare, load_results, load_side
from reports.detect.answer import NOT_DECIDED, NOTHING_WORSE
from reports.explain.axes import axis_table
from reports.explain.comparison import Comparison
from tests.reports.make import HEAD, write_sweep

_LACK = "server_args.max_prefill_tokens=512: this SGLang has no such switch"
CELLS = [
    Cell(
        workload="bursts",
        levels=PressureLevels(leave_pages=pages),
        engine=EngineSettings(server_args=(("max_prefill_tokens", tokens),), env=(("SGLANG_X", text),)),
    )
    for pages in (None, 16)
    for tokens in (512, 4096)
    for text in ("0.5", "1")
]


def _lacks_512(one: dict[str, Any]) -> dict[str, Any]:
    if one["engine"]["server_args.max_prefill_tokens"] == 512:
        return one | {"outcome": UNSUPPORTED, "reason": _LACK, "metrics": {}, "decision_digest": "empty"}
    return one


def _compared(tmp_path: Path, base: Any, head: Any) -> Comparison:
    first = write_sweep(tmp_path / "a", change=base, grid=CELLS)
    second = write_sweep(tmp_path / "b", HEAD, head, grid=CELLS)
    return compare(load_side(str(first)), load_side(str(second)))


def test_free_axes_are_columns(tmp_path: Path) -> None:
    """A free axis is a column under its full name, with the type of its values."""
    results = load_results([write_sweep(tmp_path / "a", grid=CELLS)])
    assert results.axes[-2:] == ("server_args.max_prefill_tokens", "env.SGLANG_X")
    assert str(results.frame["server_args.max_prefill_tokens"].dtype) == "Int64"
    assert set(results.frame["env.SGLANG_X"]) == {"0.5", "1"}


def test_numbers_with_a_point_are_in_order(tmp_path: Path) -> None:
    """A free axis of fractions is a column of numbers, so that its values are in their order."""
    grid = [
        Cell(workload="bursts", engine=EngineSettings(server_args=(("swa_full_tokens_ratio", ratio),)))
        for ratio in (10.5, 0.8, 2)
    ]
    results = load_results([write_sweep(tmp_path / "a", grid=grid)])
    assert str(results.frame["server_args.swa_full_tokens_ratio"].dtype) == "Float64"
    (axis,) = axis_table([results.frame], results.axes).axes
    assert axis.labels == ("0.8", "2.0", "10.5")


def test_free_axes_say_where(tmp_path: Path) -> None:
    """Free axes are axes of a comparison; numbers are in their order."""
    found = _compared(tmp_path, lambda one: one, lambda one: one)
    axes = {axis.name: axis.labels for axis in found.table.axes}
    assert axes["server_args.max_prefill_tokens"] == ("512", "4096")
    assert found.decision.exit_code == NOTHING_WORSE


@pytest.mark.parametrize(
    ("in_base", "in_head", "reason"),
    [
        (True, False, f"base has no such switch, or refused its value (base: {_LACK})"),
        (False, True, f"head has no such switch, or refused its value (head: {_LACK})"),
        (True, True, f"base and head have no such switch, or refused its value (both: {_LACK})"),
    ],
)
def test_what_was_not_measured_is_no_pass(tmp_path: Path, in_base: bool, in_head: bool, reason: str) -> None:
    """Unsupported on either side, or on both, is undecided with the reason; the other cells are judged."""

    def whole(one: dict[str, Any]) -> dict[str, Any]:
        return one

    found = _compared(tmp_path, _lacks_512 if in_base else whole, _lacks_512 if in_head else whole)
    verdicts = dict(zip(found.cells["cell"], found.cells["verdict"], strict=True))
    expected = {
        cell.id: "undecided" if dict(cell.engine.server_args)["max_prefill_tokens"] == 512 else "same"
        for cell in CELLS
    }
    assert verdicts == expected
    assert found.decision.exit_code == NOT_DECIDED
    reasons = found.cells.loc[found.cells["verdict"] == "undecided", "reason"]
    assert set(reasons) == {reason}
