"""What asv finds in `benchmarks/`, by asv's own discovery."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exhausters.asv_suite.subjects import subject_of
from exhausters.observe.metrics import DECISION, HIGHER, LOWER, METRICS, NONE

ROOT = Path(__file__).parents[2]
NAMES = Path(__file__).with_name("benchmark_names.txt")
DISCOVER = (
    "import json, sys\n"
    "from asv_runner.discovery import list_benchmarks\n"
    "list_benchmarks(sys.argv[1], sys.stdout)\n"
)


@pytest.fixture(scope="module")
def discovered() -> list[dict[str, Any]]:
    """Every benchmark that asv finds, as it will stand in benchmarks.json; in a process of its own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EXHAUSTERS_ASV")}
    command = [sys.executable, "-c", DISCOVER, str(ROOT / "benchmarks")]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.load(io.StringIO(done.stdout))
    return found


def test_names_are_pinned(discovered: list[dict[str, Any]]) -> None:
    """A benchmark that appears, vanishes or changes its name loses history, so the list is written down."""
    found, pinned = {one["name"] for one in discovered}, set(NAMES.read_text().split())
    assert len(found) == len(discovered)
    assert (sorted(found - pinned), sorted(pinned - found)) == ([], []), f"appeared, vanished; see {NAMES}"


def test_no_folder_bears_the_name_of_a_file() -> None:
    """asv refuses a whole tree of benchmarks in which a folder and a file beside it have one name."""
    named = [folder for folder in (ROOT / "benchmarks").rglob("*/") if folder.with_suffix(".py").exists()]
    assert named == []


def test_every_metric_once(discovered: list[dict[str, Any]]) -> None:
    """Every metric of the registry is tracked by exactly one benchmark."""
    tracked = [one["name"].rpartition(".track_")[2] for one in discovered]
    assert sorted(tracked) == sorted([*METRICS, "outcome", "decision_log"])


def test_attributes_come_from_the_registry(discovered: list[dict[str, Any]]) -> None:
    """Unit, kind, direction and smallest effect of the registry reach benchmarks.json."""
    for one in discovered:
        metric = METRICS.get(one["name"].rpartition(".track_")[2])
        if metric is None:
            assert one["kind"] == DECISION
            continue
        stated = (one["unit"], one["kind"], one["better"], one["smallest_effect"])
        assert stated == (metric.unit, metric.kind, metric.better, metric.smallest_effect)
        assert one.get("higher_is_better") == (None if metric.better == NONE else metric.better == HIGHER)
        assert metric.meaning in one["pretty_name"]


def test_asv_judges_only_what_is_better_when_lower(discovered: list[dict[str, Any]]) -> None:
    """asv reads lower as better, so its own detection is off for every metric that is not."""
    lines = (ROOT / "asv.conf.json").read_text().splitlines()
    configuration = json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))
    off = configuration["regressions_first_commits"]
    assert set(off.values()) == {None}
    for one in discovered:
        is_judged = not any(re.match(pattern, one["name"] + "(all, 0)") for pattern in off)
        assert is_judged == (one["better"] == LOWER), one["name"]


def test_one_sweep_a_commit(discovered: list[dict[str, Any]]) -> None:
    """All benchmarks share one set-up, one set of axes and one version: a commit is swept once."""
    for key in ("setup_cache_key", "setup_cache_timeout", "version", "params", "param_names"):
        assert len({json.dumps(one[key]) for one in discovered}) == 1, key
    assert discovered[0]["param_names"][:5] == [
        "leave_pages",
        "leave_refs",
        "workload",
        "page_size",
        "overlap",
    ]


def test_every_subject_has_its_module() -> None:
    """Each subject is one thin file in `benchmarks/`, so that a new kind of metric cannot fall between."""
    files = {path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py")}
    subjects = {name for name in files if not name.startswith("bench_")} - {"outcomes"}
    assert subjects == {subject_of(metric) for metric in METRICS.values()}
