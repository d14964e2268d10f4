"""The search, over small repositories and records that are made up."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from exhausters.bisect.first_parents import first_parents
from exhausters.bisect.question import Decisions, MetricTotal, question
from exhausters.bisect.search import search
from exhausters.errors import SeamError, TargetError, UsageError
from exhausters.sweep.record import CRASHED, DRAINED, OUT_OF_MEMORY, STALLED, TIMEOUT
from tests.bisect.history import MadeUpRuns, a_folder, a_history, git

_COUNT = 21


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("repository")


@pytest.fixture(scope="module")
def commits(repository: Path) -> list[str]:
    return a_history(repository, _COUNT)


@pytest.mark.parametrize("first_bad", range(1, _COUNT))
@pytest.mark.parametrize("asked", [Decisions(), MetricTotal("evicted_tokens")])
def test_the_commit_is_found_in_log2_runs(
    repository: Path, commits: list[str], tmp_path: Path, first_bad: int, asked: Decisions | MetricTotal
) -> None:
    """Wherever the change is, it is found with at most log2(n) commits run beside the two ends."""
    line = first_parents(repository, commits[0], commits[-1])
    runs = MadeUpRuns(commits, lambda place: 7 if place < first_bad else 3)
    found = search(line, asked, runs, a_folder(tmp_path))
    assert found is not None
    assert (found.commit, found.good) == (commits[first_bad], commits[first_bad - 1])
    assert found.candidates == (found.commit,)
    assert runs.asked[:2] == [0, _COUNT - 1]
    assert len(runs.asked) == found.tested <= 2 + math.ceil(math.log2(_COUNT - 1))
    assert len(set(runs.asked)) == len(runs.asked)


def test_ends_that_do_not_differ_end_the_search(repository: Path, commits: list[str], tmp_path: Path) -> None:
    """Two ends with the same answer are run, and nothing else."""
    line = first_parents(repository, commits[0], commits[-1])
    runs = MadeUpRuns(commits, lambda place: 7 if place in (0, _COUNT - 1) else 3)
    assert search(line, Decisions(), runs, a_folder(tmp_path)) is None
    assert runs.asked == [0, _COUNT - 1]


def test_a_commit_that_cannot_run_is_skipped(repository: Path, commits: list[str], tmp_path: Path) -> None:
    """The search goes round commits that cannot be prepared, at one more run each, and notes why."""
    line = first_parents(repository, commits[0], commits[-1])
    broken = (9, 10, 11)
    runs = MadeUpRuns(commits, lambda place: 7 if place < 15 else 3, broken=broken)
    state = a_folder(tmp_path)
    found = search(line, Decisions(), runs, state)
    assert found is not None
    assert found.candidates == (commits[15],)
    assert set(state.skipped) <= {commits[place] for place in broken}
    assert set(state.skipped.values()) == {"TargetError: no such pins"}
    assert len(runs.asked) <= 2 + math.ceil(math.log2(_COUNT)) + len(state.skipped)


def test_commits_that_cannot_run_before_the_change_are_all_named(
    repository: Path, commits: list[str], tmp_path: Path
) -> None:
    """Where the change may be in a commit that does not run, each of them is a candidate."""
    line = first_parents(repository, commits[0], commits[-1])
    runs = MadeUpRuns(commits, lambda place: 7 if place < 11 else 3, without_metric=(9, 10))
    found = search(line, MetricTotal("evicted_tokens"), runs, a_folder(tmp_path))
    assert found is not None
    assert found.candidates == tuple(commits[9:12])


def test_a_third_answer_is_on_the_bad_side(repository: Path, commits: list[str], tmp_path: Path) -> None:
    """With decisions, a commit is good only if it decides as GOOD does: the first change is found."""
    line = first_parents(repository, commits[0], commits[-1])
    runs = MadeUpRuns(commits, lambda place: 7 if place < 6 else 5 if place < 18 else 3)
    found = search(line, Decisions(), runs, a_folder(tmp_path))
    assert found is not None
    assert found.commit == commits[6]


@pytest.mark.parametrize(("value", "first_bad"), [(4, 6), (5, 18), (6, 18)])
def test_a_metric_is_judged_by_the_nearer_end(
    repository: Path, commits: list[str], tmp_path: Path, value: int, first_bad: int
) -> None:
    """Nearer to BAD's value is bad; halfway, and nearer to GOOD's, is good."""
    line = first_parents(repository, commits[0], commits[-1])
    runs = MadeUpRuns(commits, lambda place: 7 if place < 6 else value if place < 18 else 3)
    found = search(line, MetricTotal("evicted_tokens"), runs, a_folder(tmp_path))
    assert found is not None
    assert found.commit == commits[first_bad]


def test_an_end_that_cannot_run_is_an_error(repository: Path, commits: list[str], tmp_path: Path) -> None:
    """Without two ends there is nothing to compare with."""
    line = first_parents(repository, commits[0], commits[-1])
    with pytest.raises(TargetError, match="no such pins"):
        search(line, Decisions(), MadeUpRuns(commits, lambda place: 7, broken=(0,)), a_folder(tmp_path))
    runs = MadeUpRuns(commits, lambda place: 7, without_metric=(_COUNT - 1,))
    with pytest.raises(UsageError, match=r"BAD .* no evicted_tokens"):
        search(line, MetricTotal("evicted_tokens"), runs, a_folder(tmp_path))


@pytest.mark.parametrize(("error", "again"), [(SeamError, False), (TargetError, True)])
def test_only_what_can_pass_is_tried_again(
    repository: Path, commits: list[str], tmp_path: Path, error: type[TargetError], again: bool
) -> None:
    """A second call goes round a commit that lacks something, and prepares one that a full disk kept out."""
    line = first_parents(repository, commits[0], commits[-1])
    first, second = (
        MadeUpRuns(commits, lambda place: 7 if place < 15 else 3, broken=(10,), error=error) for _ in "ab"
    )
    for runs in (first, second):
        found = search(line, Decisions(), runs, a_folder(tmp_path))
        assert found is not None
        assert found.commit == commits[15]
    assert (10 in first.asked, 10 in second.asked) == (True, again)


@pytest.mark.parametrize("outcome", [TIMEOUT, OUT_OF_MEMORY, CRASHED])
@pytest.mark.parametrize("asked", [Decisions(), MetricTotal("evicted_tokens")])
def test_a_run_that_the_machine_may_have_stopped_blames_nobody(
    repository: Path, commits: list[str], tmp_path: Path, outcome: str, asked: Decisions | MetricTotal
) -> None:
    """A salvaged log is shorter than a whole one, and is no other decision; a later call asks again."""
    line = first_parents(repository, commits[0], commits[-1])
    runs = MadeUpRuns(
        commits,
        lambda place: 3 if place in (10, *range(15, _COUNT)) else 7,
        outcome=lambda place: outcome if place == 10 else DRAINED,
    )
    state = a_folder(tmp_path)
    found = search(line, asked, runs, state)
    assert found is not None
    assert found.candidates == (commits[15],)
    assert list(state.skipped) == [commits[10]]
    assert a_folder(tmp_path).skipped == {}


def test_changes_are_told_per_cell(repository: Path, commits: list[str]) -> None:
    """Decisions as the first divergence in words, a metric as its values before and after."""
    runs = MadeUpRuns(commits, lambda place: place + 1, outcome=lambda place: STALLED if place else DRAINED)
    before, after = runs.records(commits[0]), runs.records(commits[1])
    told = Decisions().changes(before, after)
    assert len(told) == 2
    assert "outcome drained → stalled; step 1: base has ended, head runs nothing" in told[0]
    assert MetricTotal("evicted_tokens").changes(before, after)[0] == "total over 2 cells: 2 → 4"


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("evicted_token", "no such metric; expected one such as evicted_tokens"),
        ("scheduler_cpu_seconds", "host time differs from run to run"),
    ],
)
def test_a_metric_that_cannot_be_asked_for_is_refused(metric: str, expected: str) -> None:
    """An unknown metric is named with near ones; a noisy one is refused."""
    with pytest.raises(UsageError, match=expected):
        question(metric)


def test_ends_that_are_no_line_are_refused(repository: Path, commits: list[str], tmp_path: Path) -> None:
    """GOOD must be an ancestor of BAD along first parents; the message says what is wrong instead."""
    for good, bad, expected in (
        (commits[3], commits[1], "it is a descendant: expected the older commit first"),
        (commits[3], commits[3], "are the same commit"),
        ("nowhere", commits[3], "GOOD='nowhere': names no commit"),
    ):
        with pytest.raises(UsageError, match=expected):
            first_parents(repository, good, bad)
    with pytest.raises(UsageError, match="no git repository"):
        first_parents(tmp_path, "a", "b")


def test_only_first_parents_are_searched(tmp_path: Path) -> None:
    """Commits of a merged branch are not on the line, and a branch that parted is refused with where."""
    repository = tmp_path / "repository"
    commits = a_history(repository, 3)
    git(repository, "checkout", "-q", "-b", "side", commits[1])
    (repository / "side").write_text("")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "side")
    side = git(repository, "rev-parse", "HEAD")
    git(repository, "checkout", "-q", "main")
    git(repository, "merge", "-q", "--no-ff", "-m", "merge", "side")
    line = first_parents(repository, commits[0], "main")
    assert side not in line.commits
    assert len(line.commits) == 3
    with pytest.raises(UsageError, match=rf"such as {commits[1][:10]}, where theirs part"):
        first_parents(repository, "side", "main")
