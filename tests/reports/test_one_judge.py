"""The gate, the history, the dashboard and the history table give one answer to one question."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reports import Config, compare, load_results, load_side
from reports.dashboard.page_data import page_data
from reports.explain.report import Report, make_report
from reports.render.history_table import history_table
from reports.vocabulary import DECISION_LOG
from tests.reports.make import METRICS, cells, write_sweep

CELL, CONTROL = cells(workloads=("agents",), pages=(64, None), page_sizes=(16,))
METRIC = "retractions"
WORDS = {"s": "same", "b": "better", "w": "worse", "c": "changed", "x": "broken", "-": "not judged"}
# What a build did with the cell when it has no number for the metric.
MISSING, NO_VALUE, NOT_MEASURED = "missing", "no value", "not measured"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A history of one cell; the question is what changed in its last build.

    Attributes:
        builds: value of the metric, an outcome other than drained, or one of the words above; oldest first.
        base: number of the build that the last one must be compared with; None where there is none.
        verdict: the answer for the metric.
        log_base, log_verdict: the same for the decision log; as for the metric where not given.
    """

    builds: tuple[float | str, ...]
    base: int | None
    verdict: str
    log_base: int | None = None
    log_verdict: str | None = None


CASES = {
    "loss": Case(builds=(5000, 6000), base=0, verdict="worse", log_verdict="changed"),
    "gain": Case(builds=(6000, 5000), base=0, verdict="better", log_verdict="changed"),
    "same": Case(builds=(5000, 5000), base=0, verdict="same"),
    "loss after a crash": Case(
        builds=(5000, "crashed", 6000), base=0, verdict="worse", log_verdict="changed"
    ),
    "same after a crash": Case(builds=(5000, "crashed", 5000), base=0, verdict="same"),
    "gain after a timeout": Case(
        builds=(6000, "timeout", 5000), base=0, verdict="better", log_verdict="changed"
    ),
    "loss after a gap": Case(builds=(5000, MISSING, 6000), base=0, verdict="worse", log_verdict="changed"),
    "loss after two gaps": Case(
        builds=(5000, MISSING, "crashed", 6000), base=0, verdict="worse", log_verdict="changed"
    ),
    "same after a stall": Case(
        builds=(5000, "stalled", 5000), base=0, verdict="same", log_base=1, log_verdict="changed"
    ),
    "loss after a build without the metric": Case(
        builds=(5000, NOT_MEASURED, 6000), base=0, verdict="worse", log_base=1, log_verdict="changed"
    ),
    "a value appears": Case(builds=(NO_VALUE, 5000), base=0, verdict="changed"),
    "a value goes": Case(builds=(5000, NO_VALUE), base=0, verdict="changed"),
    "a value comes back": Case(builds=(5000, NO_VALUE, 5000), base=1, verdict="changed"),
    "no value twice": Case(builds=(NO_VALUE, "crashed", NO_VALUE), base=0, verdict="same"),
    "nothing before": Case(builds=("crashed", MISSING, 5000), base=None, verdict="not judged"),
}


def _target(build: int) -> str:
    return f"release:0.5.{build}"


def _write(folder: Path, builds: tuple[float | str, ...]) -> Path:
    """A sweep for each build, with the cell as the case has it, and one that never changes."""
    for number, what in enumerate(builds):

        def change(one: dict[str, Any], what: float | str = what) -> dict[str, Any] | None:
            if one["cell"] == CONTROL.id:
                return one
            if what == MISSING:
                return None
            one = one | {"decision_digest": str(what)}
            if what == NO_VALUE:
                return one | {"metrics": METRICS | {METRIC: None}}
            if what == NOT_MEASURED:
                return one | {"metrics": {name: value for name, value in METRICS.items() if name != METRIC}}
            if isinstance(what, str):
                return one | {"outcome": what, "reason": "so it is"}
            return one | {"metrics": METRICS | {METRIC: what}}

        write_sweep(folder / str(number), _target(number), change, grid=(CELL, CONTROL))
    return folder


def _gate(folder: Path, base: int, head: int, metric: str) -> str:
    found = compare(load_side(str(folder / str(base))), load_side(str(folder / str(head)))).verdicts
    rows = found[(found["cell"] == CELL.id) & (found["metric"] == metric)]
    return str(rows["verdict"].iloc[0]) if len(rows) else "not judged"


def _history(report: Report, head: int, metric: str) -> tuple[str, str] | None:
    """The build compared with and the verdict; None where the history has no change."""
    assert report.history is not None
    rows = report.history.changes
    rows = rows[(rows["build"] == _target(head)) & (rows["cell"] == CELL.id) & (rows["metric"] == metric)]
    return (rows["before_build"].iloc[0], rows["verdict"].iloc[0]) if len(rows) else None


def _dashboard(report: Report, head: int) -> tuple[int | None, str]:
    page = page_data(report)
    metric = [one["name"] for one in page["metrics"]].index(METRIC)
    cell = [one["id"] for one in page["cells"]].index(CELL.id)
    before = page["before"][head][metric]
    return (before[cell] if isinstance(before, list) else before), WORDS[page["letters"][head][metric][cell]]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_all_four_agree(tmp_path: Path, case: Case) -> None:
    """The last build is compared with the same earlier one everywhere, and the verdict is the same."""
    # One build more at the front, without the cell, so that there is always a history.
    builds = (MISSING, *case.builds)
    folder, head = _write(tmp_path, builds), len(builds) - 1
    results = load_results([folder])
    report = make_report(results, Config())

    base = None if case.base is None else case.base + 1
    assert _dashboard(report, head) == (base, case.verdict)
    if base is None:
        assert _history(report, head, METRIC) is None
        return
    assert _gate(folder, base, head, METRIC) == case.verdict
    expected = None if case.verdict == "same" else (_target(base), case.verdict)
    assert _history(report, head, METRIC) == expected

    log_base = base if case.log_base is None else case.log_base + 1
    log_verdict = case.log_verdict or case.verdict
    assert _gate(folder, log_base, head, DECISION_LOG) == log_verdict
    expected = None if log_verdict == "same" else (_target(log_base), log_verdict)
    assert _history(report, head, DECISION_LOG) == expected
    table = history_table(results, where={"leave_pages": str(CELL.levels.leave_pages)}, metrics=[])
    as_before = table.splitlines()[-1].split("|")[3].strip()
    assert as_before == ("1/1" if log_verdict == "same" else "0/1")


def test_a_base_that_is_not_the_build_before(tmp_path: Path) -> None:
    """Head against a chosen base and head against the build before it are two questions."""
    folder = _write(tmp_path, (8000, 5000, 5000))
    report = make_report(load_results([folder]), Config(), base=_target(0), head=_target(2))
    page = page_data(report)
    metric = [one["name"] for one in page["metrics"]].index(METRIC)
    cell = [one["id"] for one in page["cells"]].index(CELL.id)

    assert report.comparison is not None
    assert report.comparison.decision.verdict == "better"
    assert WORDS[page["compared"]["letters"][metric][cell]] == "better"
    assert page["compared"]["ratios"][metric][cell] == pytest.approx(5000 / 8000, rel=1e-5)

    assert _dashboard(report, 2) == (1, "same")
    assert page["ratios"][2][metric][cell] == 1
    assert page["trend"]["changes"][2][metric] == ""
    assert _history(report, 2, METRIC) is None
    assert _dashboard(report, 1) == (0, "better")


def test_a_loss_after_a_crash_is_worse_although_the_crash_itself_is_cured(tmp_path: Path) -> None:
    """Against the crashed build before it a build is better; the trend looks past the crash."""
    folder = _write(tmp_path, (5000, "crashed", 6000))
    report = make_report(load_results([folder]), Config())
    assert report.comparison is not None
    assert report.comparison.decision.verdict == "better"
    assert _dashboard(report, 2) == (0, "worse")
    page = page_data(report)
    metric = [one["name"] for one in page["metrics"]].index(METRIC)
    cell = [one["id"] for one in page["cells"]].index(CELL.id)
    assert page["ratios"][2][metric][cell] == pytest.approx(1.2)


def test_an_unstable_log_is_broken_for_all(tmp_path: Path) -> None:
    """A build whose own passes decided differently has a broken log for the gate and for the history."""
    for number, repeatable in enumerate((True, True, False)):

        def change(
            one: dict[str, Any], repeatable: bool = repeatable, number: int = number
        ) -> dict[str, Any]:
            if one["cell"] == CONTROL.id:
                return one
            provenance = one["provenance"] | {"repeatable": repeatable}
            return one | {"decision_digest": f"log {number}", "provenance": provenance}

        write_sweep(tmp_path / str(number), _target(number), change, grid=(CELL, CONTROL))
    report = make_report(load_results([tmp_path]), Config())
    assert _gate(tmp_path, 1, 2, DECISION_LOG) == "broken"
    assert _history(report, 2, DECISION_LOG) == (_target(1), "broken")


def test_work_of_another_python_is_compared_by_none(tmp_path: Path) -> None:
    """Counts by another Python are undecided for the gate and no change for the history and the dashboard."""
    for number, (python, calls) in enumerate((("3.11.7", 1000), ("3.11.7", 1100), ("3.13.1", 1300))):

        def change(one: dict[str, Any], python: str = python, calls: int = calls) -> dict[str, Any]:
            provenance = one["provenance"] | {"python_version": python, "torch_version": "2.13.0"}
            return one | {"metrics": METRICS | {"python_calls": calls}, "provenance": provenance}

        write_sweep(tmp_path / str(number), _target(number), change, grid=(CELL, CONTROL))
    report = make_report(load_results([tmp_path]), Config())
    assert _history(report, 1, "python_calls") == (_target(0), "worse")
    assert _history(report, 2, "python_calls") is None
    assert _gate(tmp_path, 1, 2, "python_calls") == "undecided"
    page = page_data(report)
    metric = [one["name"] for one in page["metrics"]].index("python_calls")
    cell = [one["id"] for one in page["cells"]].index(CELL.id)
    assert [WORDS[page["letters"][build][metric][cell]] for build in (1, 2)] == ["worse", "not judged"]
