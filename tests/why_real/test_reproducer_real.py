"""The smallest reproducer of two releases: the file runs as it is, passes on one and fails on the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exhausters.pressure.levels import PressureLevels
from exhausters.scripted.test_case import TARGET_VARIABLE
from exhausters.sweep.cell import Cell
from exhausters.targets import prepare
from exhausters.why.explain import explain_difference
from exhausters.why.reproducer import FILE_NAME

pytestmark = pytest.mark.releases

BASE, HEAD = "release:0.5.22", "release:0.5.23"
CELL = Cell(workload="shared_prefix", levels=PressureLevels(leave_pages=56))


def test_two_releases_are_told_apart_by_a_few_requests(tmp_path: Path) -> None:
    """The workload is cut down to a few requests, none of which can be left out, and the file proves it."""
    explained = explain_difference(prepare(BASE), prepare(HEAD), CELL, tmp_path)
    assert explained.notes == ()
    found = explained.reproducer
    assert found is not None
    assert found.is_proven
    assert found.reduction.is_minimal
    assert len(found.reduction.trial.scenario.requests) <= 6
    assert [_exit_code(tmp_path / FILE_NAME, target) for target in (BASE, HEAD)] == [0, 1]


def _exit_code(file: Path, target: str) -> int:
    return subprocess.run(
        [sys.executable, file], env={**os.environ, TARGET_VARIABLE: target}, check=False
    ).returncode
