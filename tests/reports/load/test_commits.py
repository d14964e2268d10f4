"""Promises about the order of builds: commits by their history, whenever and however they were measured."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exhausters.errors import UsageError
from reports.cli.app import app
from reports.load.builds import list_builds, list_targets
from reports.load.commits import KnownCommit, in_their_order, known_commits, unknown_commits
from reports.load.load_results import load_results
from tests.reports.make import cells, write_sweep

_GRID = cells(workloads=("agents",), pages=(None,), page_sizes=(16,))
# A scan measures both ends first, then halves.
_TELLING_ORDER = (3, 0, 1, 2)


@dataclass(frozen=True)
class _Clone:
    """A clone with four commits of one line, all of one second, and a branch off the first of them."""

    path: Path
    commits: tuple[str, ...]
    side: str


@pytest.fixture(name="clone", scope="module")
def _clone(tmp_path_factory: pytest.TempPathFactory) -> _Clone:
    path = tmp_path_factory.mktemp("clone")
    date = "2026-05-02T12:00:00Z"
    environment = {**os.environ, "GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(path), "-c", "user.name=a", "-c", "user.email=a@localhost", *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return done.stdout.strip()

    def commit(message: str) -> str:
        git("commit", "-q", "--allow-empty", "-m", message)
        return git("rev-parse", "HEAD")

    git("init", "-q", "-b", "main")
    commits = tuple(commit(f"number\t{number} (#{number})") for number in range(4))
    git("tag", "v1")
    git("checkout", "-q", "-b", "side", commits[0])
    side = commit("aside")
    git("checkout", "-q", "main")
    return _Clone(path, commits, side)


def _sweeps(folder: Path, commits: Sequence[str], **header: Callable[[int], Any]) -> Path:
    """Sweeps of commits, which were measured in a telling order; the header has values by their places."""
    for hour, place in enumerate(place for place in _TELLING_ORDER if place < len(commits)):
        commit = commits[place]
        write_sweep(
            folder / commit,
            f"git:/srv/sglang@{commit}",
            grid=_GRID,
            started=f"2026-11-28T0{hour}:00:00+00:00",
            target_commit=commit,
            target_version="unknown",
            **{name: value(place) for name, value in header.items()},
        )
    return folder


def _built(*arguments: object) -> tuple[list[str], dict[str, Any], str]:
    """`build` with these arguments; commits in their order, the report, and what was said."""
    done = CliRunner().invoke(app, ["build", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    out = Path(str(arguments[list(arguments).index("--out") + 1]))
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return [build["commit"] for build in report["results"]["builds"]], report, done.stderr


def test_commits_that_were_measured_out_of_order_stand_in_that_of_a_clone(
    tmp_path: Path, clone: _Clone
) -> None:
    """The newest is judged against the one before it, each has its own day, and nothing is said."""
    found, report, said = _built(
        _sweeps(tmp_path / "in", clone.commits), "--repo", clone.path, "--out", tmp_path / "out"
    )
    assert found == list(clone.commits)
    assert [build["date"][:10] for build in report["results"]["builds"]] == ["2026-05-02"] * 4
    both = report["comparison"]["base_commit"], report["comparison"]["head_commit"]
    assert both == clone.commits[-2:]
    assert said == ""


def test_a_table_of_a_history_has_the_same_order(tmp_path: Path, clone: _Clone) -> None:
    """And a commit that has a tag is called by it."""
    folder = _sweeps(tmp_path / "in", clone.commits)
    done = CliRunner().invoke(app, ["history", str(folder), "--repo", str(clone.path)])
    assert done.exit_code == 0, done.output
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines()[2:]]
    assert rows == [*(f"git:/srv/sglang@{commit}" for commit in clone.commits[:-1]), "v1"]


def test_sweeps_that_know_the_dates_of_their_commits_need_no_repository(
    tmp_path: Path, clone: _Clone
) -> None:
    """The header's date of the commit counts, not when the sweep was started."""
    folder = _sweeps(
        tmp_path, clone.commits, target_date=lambda place: f"2026-05-0{place + 1}T00:00:00+02:00"
    )
    builds = list_builds(load_results([folder]).frame)
    assert list(builds["commit"]) == list(clone.commits)
    days = [str(date.date()) for date in builds["date"]]
    assert days == ["2026-04-30", "2026-05-01", "2026-05-02", "2026-05-03"]


def test_the_date_of_a_commit_is_not_held_against_that_of_a_sweep(tmp_path: Path, clone: _Clone) -> None:
    """A release has no commit: beside it all builds are in the order in which they were measured."""
    _sweeps(tmp_path, clone.commits[:1], target_date=lambda place: "2026-05-01T00:00:00Z")
    write_sweep(tmp_path / "release", grid=_GRID, started="2026-11-27T00:00:00+00:00", target_version="x")
    release, commit = list_targets(load_results([tmp_path]).frame)
    assert (release, commit) == ("release:0.5.22", f"git:/srv/sglang@{clone.commits[0]}")


def test_what_a_repository_does_not_know_stays_where_it_was_and_is_told(
    tmp_path: Path, clone: _Clone
) -> None:
    """Known commits change places among themselves; the others are counted on standard error."""
    stranger = "5" * 40
    folder = _sweeps(tmp_path / "in", (clone.commits[1], stranger, clone.commits[2], clone.commits[0]))
    before = list(list_builds(load_results([folder]).frame)["commit"])
    found, _, said = _built(folder, "--repo", clone.path, "--out", tmp_path / "out")
    known = [one for one in found if one != stranger]
    assert known == list(clone.commits[:3])
    assert found.index(stranger) == before.index(stranger)
    assert "does not know 1 of the 4 commits measured, such as 555555555" in " ".join(said.split())


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path, clone: _Clone) -> None:
    """A wrong `--repo` is an error, not a dashboard without order and subjects."""
    folder = _sweeps(tmp_path / "in", clone.commits)
    for command in (["build", str(folder), "--out", str(tmp_path / "out")], ["history", str(folder)]):
        done = CliRunner().invoke(app, [*command, "--repo", str(tmp_path / "none")])
        assert done.exit_code == 2
        assert "no git repository; expected a clone" in " ".join(done.stderr.split())


@pytest.mark.parametrize("is_bare", [False, True])
def test_a_clone_and_a_mirror_tell_the_same(tmp_path: Path, clone: _Clone, is_bare: bool) -> None:
    """Order, date, tag and subject of each commit on any branch, from a clone or a bare repository."""
    repository = clone.path
    if is_bare:
        repository = tmp_path / "mirror.git"
        subprocess.run(["git", "clone", "-q", "--mirror", str(clone.path), str(repository)], check=True)
    found = known_commits(repository)
    committed = datetime(2026, 5, 2, 12, tzinfo=UTC)
    places = [found[commit].place for commit in clone.commits]
    assert places == sorted(places)
    assert found[clone.side].place > places[0]
    assert found[clone.commits[3]] == KnownCommit(
        place=places[3], committed=committed, tag="v1", subject="number\t3 (#3)"
    )
    with pytest.raises(UsageError, match="no git repository"):
        known_commits(tmp_path / "none")


def test_results_without_commits_are_as_they_were(tmp_path: Path, clone: _Clone) -> None:
    """Releases have versions: a repository adds nothing, and lacks nothing."""
    for patch in (9, 10, 8):
        write_sweep(tmp_path / str(patch), f"release:0.5.{patch}", grid=_GRID)
    known = known_commits(clone.path)
    results = load_results([tmp_path])
    assert unknown_commits(results, known) == ""
    targets = list_targets(in_their_order(results, known).frame)
    assert targets == ["release:0.5.8", "release:0.5.9", "release:0.5.10"]
