"""Promises about what a verdict says it judged."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from exhausters.observe.metrics import KINDS
from reports import compare, load_results, load_side, report_document
from reports.detect.coverage import coverage_lines
from reports.explain.comparison import Comparison
from reports.render.markdown import render_markdown
from reports.render.terminal import print_comparison
from tests.reports.make import HEAD, METRICS, Change, cells, write_pairs, write_sweep

WORK = {"python_calls": 150_000, "aten_operators": 5_000}


def _with(metrics: Mapping[str, Any]) -> Change:
    return lambda one: one | {"metrics": METRICS | dict(metrics)}


def _compared(tmp_path: Path, base: Change, head: Change, **header: Any) -> Comparison:
    ours = write_sweep(tmp_path / "a", change=base)
    theirs = write_sweep(tmp_path / "b", HEAD, head, **header)
    return compare(load_side(str(ours)), load_side(str(theirs)))


def _lines(tmp_path: Path, base: Change, head: Change, **header: Any) -> list[str]:
    return coverage_lines(_compared(tmp_path, base, head, **header).kinds)


@pytest.mark.parametrize(
    ("base", "head", "reason"),
    [
        ({}, {}, "not counted in either build"),
        (WORK, {}, "not counted in head"),
        ({}, WORK, "not counted in base"),
    ],
)
def test_work_that_was_not_counted_is_named(
    tmp_path: Path, base: dict[str, float], head: dict[str, float], reason: str
) -> None:
    """Counts that a build does not have are not judged, and the verdict says which build lacks them."""
    judged, left_out = _lines(tmp_path, _with(base), _with(head))
    assert judged == "judged: decision, modelled time"
    assert left_out == f"not judged: work ({reason}), host time (one run each: host time needs pairs)"


def test_counted_work_is_judged(tmp_path: Path) -> None:
    """Two builds with 67 % more Python calls are worse, and work is among the kinds that were judged."""
    more = WORK | {"python_calls": 250_000}
    found = _compared(tmp_path, _with(WORK), _with(more))
    assert found.decision.verdict == "worse"
    assert coverage_lines(found.kinds)[0] == "judged: decision, work, modelled time"
    work = next(one for one in found.kinds if one.kind == "work")
    assert (work.metrics, work.cells, work.reasons) == (2, len(cells()), ())


def test_a_kind_that_was_judged_in_some_cells_gives_their_number(tmp_path: Path) -> None:
    """A cell that stalled has no metrics to judge: the others are counted."""
    stalled = cells()[0].id
    lines = _lines(
        tmp_path, _with({}), lambda one: one | ({"outcome": "stalled"} if one["cell"] == stalled else {})
    )
    assert lines[0] == "judged: decision (15 of 16 cells), modelled time (15 of 16 cells)"


def test_nothing_drained(tmp_path: Path) -> None:
    """Where no cell drained in both builds, no kind was judged, and that is the reason."""
    lines = _lines(tmp_path, _with({}), lambda one: one | {"outcome": "stalled"})
    assert lines[0].startswith("not judged: decision (no cell drained in both builds), work (not counted")


def test_a_refusal_is_the_reason(tmp_path: Path) -> None:
    """What must not be compared was not judged, for the reason of the refusal."""
    assert _lines(tmp_path, _with({}), _with({}), grid_digest="other") == [
        "not judged: decision (grid differs), work (grid differs), modelled time (grid differs), "
        "host time (grid differs)"
    ]


@pytest.mark.parametrize(
    ("pairs", "line"), [(12, "judged: host time"), (3, "not judged: host time (3 pairs, 10 needed)")]
)
def test_host_time_is_judged_from_enough_pairs(tmp_path: Path, pairs: int, line: str) -> None:
    """Enough pairs make host time judged; too few are the reason why it was not."""
    folder = write_pairs(tmp_path, cells(), pairs=pairs)
    found = compare(load_side(f"{folder}@0.5.22"), load_side(f"{folder}@0.5.23"))
    words, _, kinds = line.partition(": ")
    own = next(one for one in coverage_lines(found.kinds) if "host time" in one)
    assert own.partition(": ")[0] == words
    assert own.endswith(kinds)


def test_every_output_says_what_was_judged(tmp_path: Path) -> None:
    """Terminal, Markdown and JSON all list the kinds, with the reasons."""
    found = _compared(tmp_path, _with({}), _with({}))
    out = io.StringIO()
    print_comparison(found, Console(file=out, width=140))
    assert "judged: decision, modelled time" in out.getvalue()
    assert "not judged: work (not counted in either build)" in out.getvalue()
    assert "* Not judged: work (not counted in either build)" in render_markdown(found)
    document = report_document(load_results([tmp_path / "a"]), found)["comparison"]["kinds"]
    assert [one["kind"] for one in document] == list(KINDS)
    assert [one["is_judged"] for one in document] == [True, False, True, False]
    assert document[1]["reasons"] == ["not counted in either build"]
