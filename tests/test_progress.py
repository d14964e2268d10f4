"""Progress: how long the rest will take."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from exhausters.progress import TimeLeft, duration
from exhausters.sweep.record import CACHED_FROM
from exhausters.sweep.sweep_progress import SweepProgress
from tests.sweep.samples import a_grid, a_record


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_rest_takes_as_long_as_what_was_done() -> None:
    """Nothing is said before something was done, nor when nothing is left."""
    clock = _Clock()
    left = TimeLeft(clock)
    assert left.text(10) == ""
    left.begin()
    clock.now += 30
    assert left.text(10) == ""
    left.did_one()
    clock.now += 30
    left.did_one()
    assert left.text(10) == "about 5 min left"
    assert left.text(0) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (5_000, "83 min"), (12_000, "3 h 20 min")],
)
def test_durations_in_the_unit_that_people_use(seconds: float, text: str) -> None:
    """Seconds, minutes, or hours and minutes."""
    assert duration(seconds) == text


def test_a_sweep_tells_the_time_left_of_what_it_runs() -> None:
    """Runs that were kept or cached took no time, so they say nothing about the others."""
    clock, out = _Clock(), io.StringIO()
    cells = a_grid(leave_pages=list(range(1, 31))).cells
    progress = SweepProgress(Console(file=out, width=200), total=30, time_left=TimeLeft(clock))
    progress.kept(5)
    progress.booting("release:0.5.23")
    for number, cell in enumerate(cells[5:20], start=6):
        record = a_record(cell)
        if number <= 10:
            record.result.provenance[CACHED_FROM] = "release:0.5.22"  # type: ignore[index]
        else:
            clock.now += 60
        progress.run_ended(record)
    said = out.getvalue()
    assert "[5/30] kept from an earlier call" in said
    assert "[10/30] drained" in said
    assert "[20/30, about 10 min left] drained" in said
