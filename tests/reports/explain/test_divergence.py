"""Promises about the first divergence of two decision logs."""

from __future__ import annotations

from pathlib import Path

from reports import compare, load_side
from reports.explain.divergence import compare_log_files

DATA = Path(__file__).parents[1] / "data"


def test_the_first_divergence_of_two_real_logs_is_shown() -> None:
    """Two releases that decide differently: the step, what differs in it, and both sides around it."""
    found = compare(load_side(str(DATA / "release_0.5.22")), load_side(str(DATA / "release_0.5.23")))
    divergence = next(one for one in found.divergences if one.step is not None)
    base = next(step for step in divergence.base if step["step"] == divergence.step)
    head = next(step for step in divergence.head if step["step"] == divergence.step)
    assert divergence.field_names
    assert all(base[name] != head[name] for name in divergence.field_names)
    before = [step for step in divergence.base if step["step"] < divergence.step]
    assert before == [step for step in divergence.head if step["step"] < divergence.step]


def test_a_log_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    """A missing or broken decision log is a sentence in the report, not an error."""
    (tmp_path / "broken").write_bytes(b"nothing")
    there = str(tmp_path / "broken")
    assert "missing" in compare_log_files("cell", None, there).problem
    assert "cannot read" in compare_log_files("cell", str(tmp_path / "nowhere"), there).problem
    assert "not a complete decision log" in compare_log_files("cell", there, there).problem
