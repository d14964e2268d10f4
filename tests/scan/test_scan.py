"""The order of a scan, and what it leaves in its folder; commits are made up."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exhausters.cli.app import app
from exhausters.errors import FolderBusyError, StoreError, UsageError
from exhausters.scan.order import FIRST_PASS, HALVE_DECISIONS, HALVE_WORK, REST_CORE, Plan
from exhausters.scan.scan import Totals, duration, scan
from exhausters.scan.state import SCAN, SUMMARIES, read_scan, scan_folder
from exhausters.scan.summary import DECISIONS, SAME, WORK, CommitSummary, difference
from tests.scan.made_up import CORE, OTHER, UNSEEN, MadeUpRuns, a_history, a_summary, commit_file

_IDENTITY = {"grid": "made up"}


def _scan(tmp_path: Path, runs: MadeUpRuns, **keywords: float) -> Totals:
    with scan_folder(tmp_path / "out", _IDENTITY) as state:
        return scan(runs.history, state, runs, **keywords)


def test_ends_and_every_sixteenth_core_commit_come_first(tmp_path: Path) -> None:
    """After the ends the coarse commits, coarse to fine, before any other."""
    runs = MadeUpRuns(a_history([CORE] * 64))
    _scan(tmp_path, runs)
    assert runs.asked[:6] == [64, 0, 1, 33, 17, 49]


def test_intervals_that_decide_otherwise_are_halved_before_others(tmp_path: Path) -> None:
    """A change of decisions is pinned to its commit in log2 runs, then a change of work, then the rest."""
    runs = MadeUpRuns(
        a_history([CORE] * 64),
        decisions=lambda place: "a" if place < 40 else "b",
        calls=lambda place: 1000.0 if place < 23 else 1100.0,
    )
    found = _scan(tmp_path, runs)
    order = runs.asked
    assert {39, 40} <= set(order[: 6 + 4 + 1])
    assert {22, 23} <= set(order[: 6 + 5 + 5])
    assert (found.decisions, found.work, found.open) == (1, 1, 0)
    assert sorted(order) == list(range(65))


def test_commits_that_touch_nothing_imported_are_never_run(tmp_path: Path) -> None:
    """They share what their predecessor did; the base is run all the same."""
    paths = [CORE, UNSEEN, OTHER, UNSEEN, UNSEEN, CORE, UNSEEN]
    runs = MadeUpRuns(a_history(paths))
    found = _scan(tmp_path, runs)
    # The last one is run before it is known what workers import.
    assert sorted(runs.asked) == [0, 1, 3, 6, 7]
    assert (found.commits, found.touching) == (7, 3)


def test_core_commits_come_before_others(tmp_path: Path) -> None:
    """Where nothing differs, those that touch the scheduler or its caches are run first."""
    runs = MadeUpRuns(a_history([OTHER, CORE, OTHER, CORE, OTHER, CORE]))
    _scan(tmp_path, runs)
    assert set(runs.asked[:2]) == {0, 6}
    assert set(runs.asked[2:4]) == {2, 4}


def test_a_commit_that_fails_is_noted_and_gone_round(tmp_path: Path) -> None:
    """It counts as failed, is not tried again, and the change is found between its neighbours."""
    runs = MadeUpRuns(
        a_history([CORE] * 20), decisions=lambda place: "a" if place < 11 else "b", failed=(10, 11)
    )
    found = _scan(tmp_path, runs)
    assert (found.failed, found.decisions, found.open) == (2, 1, 0)
    assert runs.asked.count(10) == runs.asked.count(11) == 1


def test_a_commit_whose_failure_can_pass_is_tried_again_by_the_next_call(tmp_path: Path) -> None:
    """A night without a network costs no commit: it is gone round once, and left in no file."""
    history = a_history([CORE] * 3)
    first = MadeUpRuns(history, failed=(1, 2), unlucky=(2,))
    found = _scan(tmp_path, first)
    assert (found.scanned, found.failed) == (2, 2)
    assert first.asked.count(2) == 1
    again = MadeUpRuns(history)
    found = _scan(tmp_path, again)
    assert again.asked == [2]
    assert (found.scanned, found.failed) == (3, 1)


def test_failures_that_can_pass_hold_nothing_up(tmp_path: Path) -> None:
    """However many follow each other, the commits behind them are run in the same call."""
    history = a_history([CORE] * 40)
    unlucky = tuple(range(10, 30))
    runs = MadeUpRuns(history, failed=unlucky, unlucky=unlucky)
    found = _scan(tmp_path, runs)
    assert (found.scanned, found.failed) == (21, 20)


def test_a_commit_that_breaks_is_a_change_like_others(tmp_path: Path) -> None:
    """From which commit on every cell crashes, and from which on none does, is narrowed down."""
    runs = MadeUpRuns(a_history([CORE] * 40), broken=tuple(range(12, 23)))
    found = _scan(tmp_path, runs)
    assert (found.broken, found.failed, found.decisions, found.open) == (11, 0, 2, 0)
    # The ends and the coarse ones, then two halvings.
    assert {11, 12, 22, 23} <= set(runs.asked[: 2 + 3 + 4 + 4])


def test_a_scan_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """Both calls together run each commit once, in the order of one call."""
    history = a_history([CORE] * 40)
    whole = MadeUpRuns(history, decisions=lambda place: str(place // 13))
    _scan(tmp_path / "whole", whole)
    halves = MadeUpRuns(history, decisions=lambda place: str(place // 13))

    class Stop(Exception):
        """Raised in the middle."""

    def stop(text: str) -> None:
        if len(halves.asked) == 15:
            raise Stop

    with pytest.raises(Stop), scan_folder(tmp_path / "out", _IDENTITY) as state:
        scan(history, state, halves, say=stop)
    assert len(halves.asked) == 15
    _scan(tmp_path, halves)
    assert halves.asked == whole.asked


def test_a_line_that_was_cut_off_is_run_again(tmp_path: Path) -> None:
    """After a crash in the middle of a line only that commit is lost; a broken line before it is an error."""
    runs = MadeUpRuns(a_history([CORE] * 3))
    _scan(tmp_path, runs)
    path = tmp_path / "out" / SUMMARIES
    text = path.read_text()
    path.write_text(text[:-20])
    _scan(tmp_path, runs)
    assert len(runs.asked) == 5
    assert len(path.read_text().splitlines()) == 4
    path.write_text("{}\n" + path.read_text())
    with pytest.raises(StoreError, match=r"commits.jsonl:1: not what a scan writes"):
        _scan(tmp_path, runs)


def test_time_is_up_after_the_commit_that_runs(tmp_path: Path) -> None:
    """`--minutes 0` runs nothing, and says how far the scan is."""
    runs = MadeUpRuns(a_history([CORE] * 3))
    found = _scan(tmp_path, runs, stop_after_seconds=0.0)
    assert (runs.asked, found.scanned) == ([], 0)


def test_the_folder_keeps_up_to_which_commit_was_scanned(tmp_path: Path) -> None:
    """Of the latest call, whatever was fetched since; a history that has grown is the same scan."""
    repository, out = tmp_path / "repository", tmp_path / "out"
    subprocess.run(["git", "init", "-q", "-b", "main", str(repository)], check=True)
    for day in (1, 2):
        last = commit_file(repository, f"python/{CORE}", str(day), day=day, message="one")
    arguments = ["scan", "--repo", str(repository), "--since", "2026-05-02", "--out", str(out)]

    def scanned() -> dict[str, str]:
        done = CliRunner().invoke(app, [*arguments, "--minutes", "0"])
        assert done.exit_code == 0, done.output
        values: dict[str, str] = json.loads((out / SCAN).read_text())
        return values

    first = scanned()
    assert (first["last"], read_scan(out).last) == (last, last)
    last = commit_file(repository, f"python/{CORE}", "3", day=3, message="one more")
    assert scanned() == {**first, "last": last}


def test_another_scan_and_a_second_process_are_refused(tmp_path: Path) -> None:
    """A folder holds one scan, of one process at a time, and nothing else."""
    with (
        scan_folder(tmp_path / "out", _IDENTITY),
        pytest.raises(FolderBusyError, match="another scan writes into it"),
        scan_folder(tmp_path / "out", _IDENTITY),
    ):
        pass
    with (
        pytest.raises(UsageError, match="holds another scan \\(grid: 'made up', now 'x'\\)"),
        scan_folder(tmp_path / "out", {"grid": "x"}),
    ):
        pass
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="an earlier scan"), scan_folder(tmp_path, _IDENTITY):
        pass


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (a_summary("b"), SAME),
        (a_summary("b", calls=1020.0), SAME),
        (a_summary("b", calls=1031.0), WORK),
        (a_summary("b", calls=960.0), WORK),
        (a_summary("b", decisions="b", calls=1100.0), DECISIONS),
    ],
)
def test_counts_differ_from_the_smallest_effect_on(head: CommitSummary, expected: int) -> None:
    """A change of counted work below that of a workload (3 %) is none; decisions go first."""
    assert difference(a_summary("a"), head) == expected


def test_a_summary_survives_its_line() -> None:
    """What is written is read back."""
    summary = a_summary("a")
    assert CommitSummary.from_json(json.loads(json.dumps(summary.to_json()))) == summary


def test_phases_are_told(tmp_path: Path) -> None:
    """Each commit says what it is run for, and the line below it how much is left."""
    said: list[str] = []
    runs = MadeUpRuns(
        a_history([CORE] * 40),
        decisions=lambda place: "a" if place < 20 else "b",
        calls=lambda place: 1000.0 if place < 30 else 1100.0,
    )
    with scan_folder(tmp_path / "out", _IDENTITY) as state:
        scan(runs.history, state, runs, say=said.append)
    text = "\n".join(said)
    for phase in (FIRST_PASS, HALVE_DECISIONS, HALVE_WORK, REST_CORE):
        assert f"{phase}: c" in text or f"{phase}: base" in text
    assert (
        "41 scanned, 0 broken, 0 failed; changes of decisions 1, of counted work 1, 0 intervals open"
        in said[-1]
    )


def test_left_counts_each_commit_once() -> None:
    """The phases that are certain share out what is left."""
    history = a_history([CORE] * 40 + [OTHER] * 10)
    plan = Plan(candidates=history.commits, known={"c50": a_summary("c50"), "c2": a_summary("c2")})
    assert sum(plan.left().values()) == 49


@pytest.mark.parametrize(("seconds", "text"), [(40, "40 s"), (720, "12 min"), (12_000, "3 h 20 min")])
def test_times_are_told_in_words(seconds: float, text: str) -> None:
    """Seconds, minutes, hours."""
    assert duration(seconds) == text
