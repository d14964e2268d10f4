"""Dashboards for tests: one as large as it gets, one whose every text would like to be markup."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exhausters.observe.decision_log import DecisionLog
from exhausters.observe.metrics import METRICS as REGISTRY
from exhausters.observe.step_record import StepRecord
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from reports.dashboard.page import DASHBOARD_NAME
from reports.dashboard.report_folder import write_report
from reports.detect.config import Config
from reports.explain.report import make_report
from reports.load.load_results import load_results
from tests.reports.make import cells, write_sweep

COMMITS = {
    "8905cbd42a".ljust(40, "0"): "Let the scheduler retract the request that holds most (#12345)",
    "9905cbd42b".ljust(40, "0"): "wip",
    "a905cbd42c".ljust(40, "0"): f"Revert {' '.join(['a change of the order of eviction'] * 3)} (#12346)",
}
HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"


def write_log(path: Path, *, steps: int, seed: int) -> None:
    """Write a log of a scheduler under pressure, as restless as a real one."""
    draw = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    records = []
    for step in range(steps):
        size = int(draw.integers(0, 16))
        rids = tuple(f"request-{number}" for number in range(size))
        free, evictable = (int(tokens) for tokens in draw.integers(0, 4000, size=2))
        records.append(
            StepRecord(
                step=step,
                mode="decode" if size else "idle",
                rids=rids,
                tokens=(1,) * size,
                retracted_rids=rids[:1] if step % 40 == 39 else (),
                evict_given_tokens=64 if step % 25 == 24 else 0,
                free_tokens=free,
                evictable_tokens=evictable,
                protected_tokens=4000 - evictable,
                held_tokens=512,
                waiting=int(draw.integers(0, 40)),
            )
        )
    DecisionLog(tuple(records)).write(path)


def unpack(packed: str) -> dict[str, Any]:
    """Read the data that a page carries, as its script does."""
    page: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed)))
    return page


def data_of(text: str) -> dict[str, Any]:
    found = re.search(r'id="data">([A-Za-z0-9+/=]+)</script>', text)
    assert found is not None
    return unpack(found.group(1))


def crowded_report(folder: Path) -> Path:
    """Write a report on a release and three commits, with long names and wide numbers; return its folder.

    The heat map has figures such as 19,994 → 19,597 and 12 → 18,038; some cells end in other ways than by
    draining, and the commits have subjects, one of a pull request.
    """
    builds = {
        "release:0.5.22.post1": {"target_version": "0.5.22.post1"},
        **{
            f"git:/srv/checkouts/sglang@{commit}": {
                "target_version": f"0.5.23.dev{place}",
                "target_commit": commit,
                "target_subject": subject,
            }
            for place, (commit, subject) in enumerate(COMMITS.items())
        },
    }
    grid = [
        Cell(workload=workload, levels=PressureLevels(leave_pages=pages, leave_refs=refs), engine=engine)
        for workload in ("agents", "retraction_storm", "shared_prefix")
        for pages in (None, 128, 80, 56)
        for refs in (None, 0)
        for engine in (EngineSettings(), EngineSettings(overlap=False))
    ]
    figures = ((19994, 19597), (12, 18038), (0, 123456789), (0.00012, 0.00034), (1234567, 1234568), (7, 7))
    for place, (target, header) in enumerate(builds.items()):

        def measured(one: dict[str, Any], place: int = place, target: str = target) -> dict[str, Any]:
            number = [cell.id for cell in grid].index(one["cell"])
            values = {
                name: figures[(number + at) % len(figures)][place % 2]
                for at, name in enumerate(("steps_to_drain", "retractions", "output_tokens_per_second"))
            }
            ends = {3: "out_of_memory", 11: "unsupported", 20: "crashed"}
            outcome = ends.get(number, "drained") if place == len(builds) - 1 else "drained"
            reason = "" if outcome == "drained" else f"{outcome}: as this test wants it"
            return record_with(one, **values) | {
                "outcome": outcome, "reason": reason, "log": "logs/a.log.gz", "decision_digest": str(place)
            }  # fmt: skip

        started = f"2026-11-2{place}T00:00:00+00:00"
        write_sweep(folder / "in" / str(place), target, measured, grid=grid, started=started, **header)
        write_log(folder / "in" / str(place) / "logs" / "a.log.gz", steps=400, seed=place)
    write_report(make_report(load_results([folder / "in"]), Config()), folder / "out")
    return folder / "out"


def large_report(folder: Path, *, builds: int = 10, metrics: Sequence[str] = tuple(REGISTRY)) -> Path:
    """Write a report on so many releases of 120 cells with the metrics named; return its folder."""
    grid = cells(workloads=("agents", "shared_prefix", "storm"), pages=(None, *range(8, 160, 8)))
    assert len(grid) == 120
    draw = np.random.default_rng(7)
    for build in range(builds):
        place = folder / "in" / f"{build:02}"

        def measured(one: dict[str, Any], build: int = build) -> dict[str, Any]:
            values = {name: float(draw.normal(1000, 100)) for name in metrics}
            number = int(draw.integers(0, 20))
            return one | {
                "metrics": values,
                "decision_digest": f"{build} {number}",
                "log": f"logs/{number}.log.gz",
            }

        write_sweep(place, f"release:0.5.{build + 10}", measured, grid=grid)
        for number in range(20 if build >= builds - 2 else 0):
            write_log(place / "logs" / f"{number}.log.gz", steps=600, seed=build * 100 + number)
    write_report(make_report(load_results([folder / "in"]), Config()), folder / "out")
    return folder / "out"


def many_report(folder: Path, *, builds: int = 105) -> Path:
    """Write a report on so many commits, measured in another order than theirs; return its folder.

    Of the commits 10, 11 and 12 all cells crash; from 40 on all decide otherwise, from 70 on each step costs
    a tenth more calls. Before and after, the calls creep up by far less than what matters.
    """
    grid = cells(workloads=("agents:conversations=5,turns=4", "storm"), pages=(None, 16), page_sizes=(16,))
    for place in sorted(range(builds), key=lambda place: (place % 7, place)):

        def measured(one: dict[str, Any], place: int = place) -> dict[str, Any]:
            if place in (10, 11, 12):
                return one | {
                    "outcome": "crashed",
                    "reason": "so it is",
                    "metrics": {},
                    "decision_digest": None,
                }
            calls = (1000 + place / 2) * (1.1 if place >= 70 else 1)
            changed = record_with(one, python_calls_per_step=calls, python_calls=100 * calls)
            return changed | {"decision_digest": "after" if place >= 40 else "before"}

        commit = f"{place:03}".ljust(40, "c")
        header = {
            "target_version": "unknown",
            "target_commit": commit,
            "target_date": f"2026-05-{1 + place // 24:02}T{place % 24:02}:00:00+00:00",
            "target_subject": f"Move Scheduler._get_new_batch_prefill_raw to another file (#{place})",
            "started": f"2026-11-28T{place % 7:02}:{place % 60:02}:00+00:00",
        }
        write_sweep(folder / "in" / commit, f"git:/srv/sglang@{commit}", measured, grid=grid, **header)
    write_report(make_report(load_results([folder / "in"]), Config()), folder / "out")
    return folder / "out"


def hostile_report(folder: Path) -> Path:
    """Write a report on three releases whose names and reasons are markup; return its folder."""
    for build in range(3):
        place = folder / "in" / str(build)

        def named(one: dict[str, Any], build: int = build) -> dict[str, Any]:
            reasons: dict[str, Any] = (
                {"outcome": "crashed", "reason": HOSTILE}
                if build == 2 and one["levels"]["leave_pages"] == 16
                else {}
            )
            changed = record_with(one, retractions=5000 + 300 * build)
            workload = f"{one['workload']}{HOSTILE}"
            return changed | {"cell": f"{one['cell']}{HOSTILE}", "workload": workload, "log": "logs/a.log.gz",
                              "decision_digest": str(build)} | reasons  # fmt: skip

        target = f"release:0.5.2{build}{HOSTILE}"
        header = {"target_version": f"0.5.2{build}", "target_commit": f"abcdef{build}{HOSTILE}"}
        write_sweep(place, target, named, **header)
        write_log(place / "logs" / "a.log.gz", steps=60, seed=build)
    write_report(make_report(load_results([folder / "in"]), Config()), folder / "out")
    return folder / "out"


def record_with(one: dict[str, Any], **metrics: float) -> dict[str, Any]:
    """Return a record with other values."""
    return one | {"metrics": {**one["metrics"], **metrics}}


def page_text(folder: Path) -> str:
    """Return the dashboard of a report."""
    return (folder / DASHBOARD_NAME).read_text(encoding="utf-8")


def report_document(folder: Path) -> dict[str, Any]:
    """Return the document of a report."""
    document: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return document
