"""Decisions stay what they were: digests of the quick grid, recorded once, on six releases of SGLang."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from exhausters.targets import NEWEST_RELEASE

# Written by `python -m tests.releases.record_digests RELEASE`.
DATA = Path(__file__).with_name("data") / "quick_grid_digests.json"
_RECORDED: dict[str, dict[str, str]] = json.loads(DATA.read_text())["digests"]
_DIGITS = 16


def swept(release: str, grid: str, out: Path) -> dict[str, str]:
    """Digests by cell, from the records of a sweep."""
    words = [
        "sweep",
        "--target",
        f"release:{release}",
        "--grid",
        grid,
        "--no-work",
        "--no-cache",
        "--out",
        str(out),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "exhausters.cli", *words],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    records = map(json.loads, (out / "records.jsonl").read_text().splitlines())
    return {record["cell"]: record["decision_digest"][:_DIGITS] for record in records}


@pytest.mark.real
def test_the_newest_release_decides_as_recorded(tmp_path: Path) -> None:
    """A change of the harness changes no decision: the short grid, all of whose cells are in `quick`."""
    recorded = _RECORDED[NEWEST_RELEASE]
    assert swept(NEWEST_RELEASE, "short", tmp_path / "out").items() <= recorded.items()


@pytest.mark.releases
@pytest.mark.parametrize("release", _RECORDED)
def test_every_recorded_release_decides_as_recorded(release: str, tmp_path: Path) -> None:
    """The same on the quick grid, on releases on either side of every change of decisions so far."""
    assert swept(release, "quick", tmp_path / "out") == _RECORDED[release]
