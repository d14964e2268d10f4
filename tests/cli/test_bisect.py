"""`exhausters bisect` and `exhausters replay`, from the command to the folder, on fake hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import exhausters.targets
from exhausters.bisect import commit_runs
from exhausters.cli.app import app
from exhausters.errors import BootError, SchedulerFailedError, TargetNotFoundError, WorkerHungError
from exhausters.observe.step_record import IDLE, StepRecord
from exhausters.sweep import workers
from exhausters.targets import PreparedTarget
from tests.bisect.history import a_history
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_target

_COUNT, _FIRST_BAD = 9, 6
_GRID = '[axes]\nworkload = ["bursts", "agents"]\nleave_pages = ["all", 64]\n'
_RUNNER = CliRunner(env={"NO_COLOR": "1"})
Run = Callable[..., Any]


@pytest.fixture(name="commits")
def _commits(tmp_path: Path) -> list[str]:
    return a_history(tmp_path / "repo", _COUNT)


@pytest.fixture(autouse=True)
def _hosts(monkeypatch: pytest.MonkeyPatch, commits: list[str]) -> Iterator[None]:
    """Hosts are fake; from one commit on they prefill in smaller chunks."""

    def prepared(text: str, **_more: Any) -> PreparedTarget:
        if text == "release:9.9.9":
            raise TargetNotFoundError("no such release")
        commit = text.rpartition("@")[2]
        return replace(a_target(), name=text, commit=commit, version=str(commits.index(commit)))

    boot = workers.boot

    def booted(target: PreparedTarget, engine: Any, **more: Any) -> Any:
        if int(target.version) >= _FIRST_BAD:
            engine = replace(engine, chunked_prefill_size=64)
        return boot(target, engine, **more)

    FakeHost.made.clear()
    monkeypatch.setattr(workers, "Host", FakeHost)
    monkeypatch.setattr(workers, "boot", booted)
    monkeypatch.setattr(commit_runs, "prepare", prepared)
    monkeypatch.setattr(exhausters.targets, "prepare", prepared)
    yield
    FakeHost.made.clear()


@pytest.fixture(name="bisect")
def _bisect(tmp_path: Path, commits: list[str]) -> Run:
    (tmp_path / "grid.toml").write_text(_GRID)
    where = ["--repo", str(tmp_path / "repo"), "--out", str(tmp_path / "out"), "--workers", "1"]
    grid = ["--grid", str(tmp_path / "grid.toml"), "--cells", "bursts*"]

    def run(*arguments: str, good: int = 0, bad: int = _COUNT - 1) -> Any:
        return _RUNNER.invoke(app, ["bisect", commits[good], commits[bad], *where, *grid, *arguments])

    return run


def _booted() -> list[int]:
    return [int(host.target.version) for host in FakeHost.made]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--decisions"], "step 0: head"),
        (["--metric", "steps_to_drain"], "total over 2 cells:"),
    ],
)
def test_the_commit_is_named_with_what_changed(
    bisect: Run, arguments: list[str], expected: str, tmp_path: Path, commits: list[str]
) -> None:
    """The answer has the subject, before and after per cell, the number of boots, and what to run."""
    result = bisect(*arguments)
    assert result.exit_code == 0, result.output
    assert f"number {_FIRST_BAD}" in result.stdout.splitlines()[0]
    assert expected in result.stdout
    assert "bursts/p16/pages=64" in result.stdout
    assert "5 of 9 commits judged, 5 booted, 0 skipped" in result.stdout
    good, first_bad = (f"git:{tmp_path / 'repo'}@{commits[place]}" for place in (_FIRST_BAD - 1, _FIRST_BAD))
    why, gate, show = result.stdout.splitlines()[-3:]
    assert why.startswith(f"  exhausters why {good} {first_bad} --grid {tmp_path}/grid.toml --cell bursts/")
    assert gate.startswith("  exhausters gate ")
    assert show.endswith(f"show {commits[_FIRST_BAD]}")
    assert _booted() == [0, 8, 4, 6, 5]


def test_ends_that_are_the_same_exit_with_2(bisect: Run) -> None:
    """Where nothing changed there is nothing to find, and it is said so."""
    result = bisect(bad=5)
    assert result.exit_code == 2
    assert "decisions: both ends are the same in all 2 cells; nothing to find" in result.stdout


def test_an_interrupted_search_goes_on(bisect: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """After Ctrl-C the same command runs only what is left, and says how many were booted in all."""

    def interrupt(settings: Any) -> None:
        if len(FakeHost.made) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(FakeHost, "on_boot", staticmethod(interrupt))
        result = bisect()
    assert result.exit_code == 2
    assert "interrupted; the same command goes on" in result.stderr
    assert _booted() == [0, 8, 4, 6]
    result = bisect()
    assert result.exit_code == 0
    assert _booted()[4:] == [6, 5]
    assert "5 booted" in result.stdout
    assert bisect().stdout == result.stdout
    assert len(FakeHost.made) == 6


def test_commits_that_do_not_boot_are_skipped(bisect: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is shown; what cannot be told apart from the change is named, and the exit code is 2."""

    def fail(settings: Any) -> None:
        if FakeHost.made[-1].target.version in ("4", "5"):
            raise BootError("no such op")

    monkeypatch.setattr(FakeHost, "on_boot", staticmethod(fail))
    result = bisect()
    assert result.exit_code == 2
    assert "no such op" in result.stderr
    assert "changed in one of 3 commits; all but the last could not run" in result.stdout
    assert all(f"number {number}" in result.stdout for number in (4, 5, 6))


def _fail_at(monkeypatch: pytest.MonkeyPatch, commit: str, fail: Callable[[int], None]) -> list[int]:
    """Let runs of one cell of a commit fail, given how many of them there were; return these."""
    ran: list[int] = []

    def on_run(args: tuple[Any, ...]) -> None:
        if FakeHost.made[-1].target.version == commit and "pages=64" in args[0].id:
            ran.append(len(ran))
            fail(ran[-1])

    monkeypatch.setattr(FakeHost, "on_run", staticmethod(on_run))
    return ran


def _steps(count: int) -> tuple[StepRecord, ...]:
    return tuple(StepRecord(step=step, mode=IDLE) for step in range(count))


def test_a_run_that_was_cut_short_runs_again(bisect: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a worker is killed in the middle: the second run says what the commit decides."""

    def fail(number: int) -> None:
        if number == 0:
            raise WorkerHungError("too slow", salvaged=_steps(2))

    ran = _fail_at(monkeypatch, "4", fail)
    result = bisect()
    assert result.exit_code == 0, result.output
    assert ran == [0, 1]
    assert f"number {_FIRST_BAD}" in result.stdout.splitlines()[0]
    assert "0 skipped" in result.stdout


def test_what_is_cut_short_again_runs_in_the_next_call(bisect: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skipped for now: once the machine is free, the same command asks that cell again, and no other."""

    def fail(number: int) -> None:
        if number < 2:
            raise WorkerHungError("too slow", salvaged=_steps(2 + number))

    ran = _fail_at(monkeypatch, "4", fail)
    first, second = bisect(), bisect()
    assert ran == [0, 1, 2]
    assert "skipped: bursts/p16/pages=64" in first.stderr
    assert "1 skipped" in first.stdout
    assert "0 skipped" in second.stdout
    assert first.stdout.splitlines()[0] == second.stdout.splitlines()[0]


def test_a_scheduler_that_fails_twice_alike_is_an_answer(
    bisect: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that raises after the same steps each time is bad, and found."""

    def fail(number: int) -> None:
        raise SchedulerFailedError("it raises", salvaged=_steps(2))

    ran = _fail_at(monkeypatch, "5", fail)
    result = bisect()
    assert ran == [0, 1]
    assert result.exit_code == 0, result.output
    assert "number 5" in result.stdout.splitlines()[0]
    assert "outcome drained → crashed" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--metric", "chunks", "--decisions"], "expected one of them"),
        (["--metric", "nothing"], "no such metric"),
        (["--cells", "nothing"], "matches none of 4 cells"),
    ],
)
def test_bad_input_exits_with_2(bisect: Run, arguments: list[str], expected: str, tmp_path: Path) -> None:
    """A typed error, before anything is booted or written."""
    result = bisect(*arguments)
    assert result.exit_code == 2
    assert expected in " ".join(result.stderr.split())
    assert not FakeHost.made
    assert not (tmp_path / "out").exists()


def _replay(*arguments: str) -> Any:
    return _RUNNER.invoke(app, ["replay", *arguments])


def test_a_replayed_record_is_the_same(bisect: Run, tmp_path: Path, commits: list[str]) -> None:
    """Cells that come out the same are counted and not listed; exit code 0."""
    bisect()
    folder = str(tmp_path / "out" / "commits" / commits[0])
    result = _replay(folder)
    assert result.exit_code == 0, result.output
    assert result.stdout == "2 runs again: 2 the same\n"
    result = _replay(folder, "--cell", "pages=64")
    assert result.stdout == "1 run again: 1 the same\n"


def test_a_replay_on_another_build_says_what_differs(bisect: Run, tmp_path: Path, commits: list[str]) -> None:
    """The first divergence in words and the metrics that differ; exit code 1."""
    bisect()
    target = f"git:{tmp_path / 'repo'}@{commits[-1]}"
    result = _replay(str(tmp_path / "out" / "commits" / commits[0]), "--target", target)
    assert result.exit_code == 1
    assert f"on {target}" in result.stdout
    assert "step 0: head" in result.stdout
    assert "prefill_steps" in result.stdout
    assert "cpu" not in result.stdout


def test_a_replay_that_cannot_be_run_exits_with_2(
    bisect: Run, tmp_path: Path, commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that does not boot, a target that is not there, a pattern or folder without a record."""
    bisect()
    folder = str(tmp_path / "out" / "commits" / commits[0])

    def fail(settings: Any) -> None:
        raise BootError("no such op")

    for arguments, expected in (
        ((folder, "--target", "release:9.9.9"), "no such release"),
        ((folder, "--cell", "nothing"), "matches none of 2 cells"),
        ((str(tmp_path),), "holds no readable sweep"),
    ):
        result = _replay(*arguments)
        assert result.exit_code == 2
        assert expected in " ".join(result.stderr.split())
    monkeypatch.setattr(FakeHost, "on_boot", staticmethod(fail))
    result = _replay(folder)
    assert result.exit_code == 2
    assert "could not: bursts" in result.stdout
    assert "no such op" in result.stdout
