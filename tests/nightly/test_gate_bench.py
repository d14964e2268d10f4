"""What the suite's workers share, without a process of pytest and without a worker."""

from __future__ import annotations

import pytest

from exhausters.errors import InstallError
from exhausters.gate_suite.benchmark_info import info_of_cell, info_of_micro
from exhausters.gate_suite.measured_cells import PHASES, Bench, repeat
from exhausters.gate_suite.scripts import time_pinning
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.grid import load_grid
from exhausters.targets import NEWEST_RELEASE, PreparedTarget

TARGET = f"release:{NEWEST_RELEASE}"


def test_target_that_cannot_be_made_ready_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One installation fails, not one for each benchmark, and all of them tell its error."""
    asked = []

    def fail(target: str) -> PreparedTarget:
        asked.append(target)
        raise InstallError("no index today")

    monkeypatch.setattr("exhausters.sweep.workers.prepare", fail)
    engine = EngineSettings(max_total_tokens=8_192)
    with Bench(TARGET, load_grid("quick")) as bench:
        infos = [
            info_of_cell(bench, bench.measured(cell_id), phase) for cell_id in bench.cells for phase in PHASES
        ]
        with pytest.raises(InstallError, match="no index today"):
            repeat(bench, engine, time_pinning, 64)()
        info_of_micro(bench, engine, "pin", ("leaves", 64), {}, "no index today")
    assert asked == [TARGET]
    assert len(infos) == len(load_grid("quick").cells) * len(PHASES)
    told = {(info["target"], info["outcome"], info["reason"]) for info in infos}
    assert told == {(TARGET, "crashed", "InstallError: no index today")}
