"""Golden traces of real SGLang: the published ones are what 0.5.23 decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from exhausters.errors import UsageError
from exhausters.golden.traces import check_traces, read_traces, write_traces
from exhausters.sweep.execute import LocalExecutor
from exhausters.targets import prepare
from tests.golden.test_trace_file import PUBLISHED
from tests.sweep.samples import a_grid, a_target

pytestmark = pytest.mark.real


def test_published_traces_are_what_the_release_decides(tmp_path: Path) -> None:
    """Every trace of docs/golden, run again on the release that its header names, is the same."""
    traces = read_traces(PUBLISHED)
    target = prepare(str(traces[0].header["engine"]["target"]))
    found = check_traces(traces, target, LocalExecutor(1), tmp_path)
    assert [(one.problem, str(one.difference)) for one in found] == [("", "None")] * len(traces)
    # Written again they are the same bytes, header included.
    assert all((tmp_path / one.path.name).read_bytes() == one.path.read_bytes() for one in traces)


def test_a_workload_that_a_trace_cannot_tell_is_refused(tmp_path: Path) -> None:
    """Before anything is booted."""
    with pytest.raises(UsageError, match="events, which no trace tells; expected plain requests"):
        write_traces(a_target(), a_grid(workload=["disturbed"]), tmp_path, LocalExecutor(1))
