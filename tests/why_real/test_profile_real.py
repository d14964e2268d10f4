"""The explaining pass on the newest release: exact, the same twice, equal to what is counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exhausters.sweep.cell import Cell
from exhausters.sweep.run_options import RunOptions
from exhausters.sweep.workers import Workers
from exhausters.why.differential import compare_profiles, explaining
from exhausters.why.profile import CellProfile, profile_cell
from exhausters.worker.host import Host
from exhausters.workloads import parse_workload
from tests.conftest import newest_release
from tests.why_real.scripts import profile_with_a_scan, python_calls_both_ways

pytestmark = pytest.mark.real

CELL = Cell(workload="bursts:bursts=1,burst_requests=32")
RUN = (CELL, parse_workload(CELL.workload), RunOptions(count_work=False))


@pytest.fixture(name="host", scope="module")
def _host() -> Iterator[Host]:
    with Workers(limit=1) as workers, workers.lend(newest_release(), CELL.engine) as host:
        yield host


@pytest.fixture(name="profile", scope="module")
def _profile(host: Host) -> CellProfile:
    found: CellProfile = host.run(profile_cell, *RUN)
    return found


def test_two_runs_give_one_profile(host: Host, profile: CellProfile) -> None:
    """A second run in the same process has the same tree, call by call, and the same lines."""
    assert host.run(profile_cell, *RUN) == profile


def test_the_tree_has_the_calls_that_are_counted(host: Host) -> None:
    """Summed over functions, the tree has the calls of `python_calls`: watching operators adds none."""
    tree, counted = host.run(python_calls_both_ways, *RUN)
    assert tree == counted
    assert sum(tree.values()) > 10_000


def test_a_linear_scan_of_the_queue_stands_out_in_lines(host: Host, profile: CellProfile) -> None:
    """A loop over the waiting queue moves no call, and is the one function whose lines differ."""
    planted = host.run(profile_with_a_scan, *RUN)
    assert planted.log.digest == profile.log.digest
    found = compare_profiles(profile, planted)
    assert found.calls == ()
    (row,), share = explaining(found.lines)
    assert share == 1.0
    assert row.head_function is not None
    assert row.head_function.name.endswith(".get_next_batch_to_run")
    # The loop's own line and its body, for each request that is still in the queue afterwards, at least.
    walked = sum(2 * record.waiting + 1 for record in profile.log)
    assert row.difference * profile.steps >= walked > 10 * profile.steps
