"""The stages and the command, on fake hosts: what is run, what is on disk, what faults do, exit codes."""

from __future__ import annotations

import errno
import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import exhausters.targets
from exhausters.cli import compare_reports
from exhausters.cli.app import app
from exhausters.errors import BootError, SchedulerFailedError, TargetNotFoundError, WorkerHungError
from exhausters.sweep import workers
from exhausters.sweep.read_records import read_records
from exhausters.sweep.record import CRASHED, DRAINED, STALLED, TIMEOUT
from exhausters.sweep.run_options import RunOptions
from exhausters.sweep.store import RecordWriter
from exhausters.targets import PreparedTarget
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_target

# What the fake hosts do: called with the target, the passes and the cell's id before each run.
OnRun = Callable[[str, tuple[str, ...], str], None]


class Script:
    """What is to happen, and what happened."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, str]] = []
        self.on_run: OnRun = lambda target, passes, cell: None
        self.on_boot: Callable[[str], None] = lambda target: None
        self.unbooted: list[FakeHost] = []


@pytest.fixture(name="script", autouse=True)
def _script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """Boot fakes."""
    script = Script()

    class Scripted(FakeHost):
        def __init__(self, target: Any, settings: Any, **more: Any) -> None:
            self.on_boot = lambda settings: script.on_boot(target.name)  # type: ignore[method-assign,misc]
            script.unbooted.append(self)
            super().__init__(target, settings, **more)
            script.unbooted.remove(self)

        def run(self, function: Callable[..., Any], *args: Any, **more: Any) -> Any:  # type: ignore[override]
            options: RunOptions = args[2]
            script.ran.append((self.target.name, *options.wanted_passes))
            self.on_run = lambda args: script.on_run(  # type: ignore[method-assign,misc]
                self.target.name, options.wanted_passes, args[0].id
            )
            return super().run(function, *args, **more)

    FakeHost.made.clear()
    monkeypatch.setattr(workers, "Host", Scripted)
    yield script
    assert all(host.closed for host in FakeHost.made if host not in script.unbooted)
    FakeHost.made.clear()


@pytest.fixture(name="invoke")
def _invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Run the command on two builds that differ in one file."""

    def prepare(text: str, *, on_progress: Any) -> PreparedTarget:
        version = text.removeprefix("release:")
        folder = tmp_path / version
        (folder / "sglang" / "srt").mkdir(parents=True, exist_ok=True)
        source = f"def f():\n    return {version[-2:]!r}\n"
        (folder / "sglang" / "srt" / "changed.py").write_text(source)
        return replace(a_target(version), source_dirs=(folder,))

    monkeypatch.setattr(exhausters.targets, "prepare", prepare)
    (tmp_path / "grid.toml").write_text(
        'name = "small"\n[axes]\nworkload = ["bursts"]\nleave_pages = ["all", 64, 40]\n'
    )

    def run(*arguments: str) -> Any:
        own = ["--grid", str(tmp_path / "grid.toml"), "--out", str(tmp_path / "out"), "--no-host-time"]
        return CliRunner().invoke(app, ["compare", "release:0.5.22", "release:0.5.23", *own, *arguments])

    return run


def test_equal_builds_whose_change_no_run_reached_exit_with_2(
    invoke: Callable[..., Any], tmp_path: Path
) -> None:
    """Equal logs are no answer when nothing of the change was executed; records and reports are complete."""
    done = invoke()
    assert done.exit_code == 2, done.output
    assert "unreached" in done.stdout
    assert "decisions: 3 cells, 0 differ" in done.stderr
    for name in ("base", "head"):
        stored = read_records(tmp_path / "out" / name)
        assert stored.is_complete
        assert [one.result.outcome for one in stored.records] == [DRAINED] * 3
    assert {"comment.md", "report.html", "report.json", "junit.xml", "index.html"} <= {
        path.name for path in (tmp_path / "out").iterdir()
    }
    assert "url=report.html" in (tmp_path / "out" / "index.html").read_text()
    assert json.loads((tmp_path / "out" / "compare.json").read_text())["complete"] is True


def test_each_pass_runs_once_per_cell_and_build_on_one_boot(
    invoke: Callable[..., Any], script: Script
) -> None:
    """Nothing is run twice, lines are recorded for a subset, and workers stay booted between stages."""
    invoke()
    passes = [names for _, *names in script.ran]
    assert passes.count(["decide"]) == passes.count(["counted"]) == 6
    assert passes.count(["lines"]) == 4
    assert len(FakeHost.made) == 2


def test_cells_are_chosen(invoke: Callable[..., Any], tmp_path: Path) -> None:
    """Only the cells that match are run."""
    invoke("--cells", "*pages=64*")
    assert len(read_records(tmp_path / "out" / "base").records) == 1


@pytest.mark.parametrize(("kind", "outcome"), [(SchedulerFailedError, CRASHED), (WorkerHungError, TIMEOUT)])
@pytest.mark.parametrize("stage", ["decide", "counted"])
def test_one_side_that_fails_is_seen_and_the_other_cells_go_on(
    invoke: Callable[..., Any],
    script: Script,
    tmp_path: Path,
    kind: type[Exception],
    outcome: str,
    stage: str,
) -> None:
    """A crash or a hang of one cell on one side never passes, and every other cell is compared."""

    def fail(target: str, passes: tuple[str, ...], cell: str) -> None:
        if target == "release:0.5.23" and passes == (stage,) and "pages=64" in cell:
            raise kind("it failed")

    script.on_run = fail
    done = invoke()
    assert done.exit_code in (1, 2)
    found = {one.cell.id: one.result.outcome for one in read_records(tmp_path / "out" / "head").records}
    assert sorted(found.values()) == sorted([outcome, DRAINED, DRAINED])
    assert (tmp_path / "out" / "comment.md").is_file()


def test_a_side_that_does_not_boot_is_tried_once(
    invoke: Callable[..., Any], script: Script, tmp_path: Path
) -> None:
    """The verdict is not a pass, the other side has run, and the failed boot is not repeated per cell."""
    boots: list[str] = []

    def boot(target: str) -> None:
        boots.append(target)
        if target == "release:0.5.23":
            raise BootError("it has no scheduler")

    script.on_boot = boot
    done = invoke()
    assert done.exit_code in (1, 2)
    assert boots.count("release:0.5.23") == 1
    outcomes = [one.result.outcome for one in read_records(tmp_path / "out" / "base").records]
    assert outcomes == [DRAINED] * 3


@pytest.mark.parametrize(
    ("fails", "broken_in"),
    [(("0.5.23",), "head"), (("0.5.22",), "base"), (("0.5.22", "0.5.23"), "both"), ((), None)],
)
def test_which_side_is_broken_is_told(
    invoke: Callable[..., Any],
    script: Script,
    tmp_path: Path,
    fails: tuple[str, ...],
    broken_in: str | None,
) -> None:
    """A workflow fails on what head alone broke: the header says it, where the exit code is 2 for all."""

    def fail(target: str, passes: tuple[str, ...], cell: str) -> None:
        if target.removeprefix("release:") in fails:
            raise SchedulerFailedError("it failed")

    script.on_run = fail
    assert invoke().exit_code == 2
    text = (tmp_path / "out" / "compare.json").read_text()
    assert json.loads(text)["broken_in"] == broken_in
    # docs/examples/github_workflow.yml looks for it in this form.
    assert ('"broken_in": "head"' in text) is (broken_in == "head")


def test_ctrl_c_keeps_what_was_measured(invoke: Callable[..., Any], script: Script, tmp_path: Path) -> None:
    """Interrupted in the second stage, the decisions of the first are readable, and no worker is left."""

    def interrupt(target: str, passes: tuple[str, ...], cell: str) -> None:
        if passes == ("counted",):
            raise KeyboardInterrupt

    script.on_run = interrupt
    assert invoke().exit_code != 0
    stored = read_records(tmp_path / "out" / "base")
    assert len(stored.records) == 3
    assert not stored.is_complete


def test_a_target_that_cannot_be_made_ready_is_broken(
    invoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says which side it was, and why."""

    def fail(text: str, *, on_progress: Any) -> Any:
        raise TargetNotFoundError("no such release")

    monkeypatch.setattr(exhausters.targets, "prepare", fail)
    done = invoke()
    assert done.exit_code == 2
    assert "broken: base cannot be made ready" in done.stderr
    assert "TargetNotFoundError: no such release" in done.stderr


def test_a_claim_that_there_is_not_exits_with_2(invoke: Callable[..., Any]) -> None:
    """Before anything is prepared."""
    done = invoke("--claim", "harmless")
    assert done.exit_code == 2
    assert "expected one of any, refactor, faster, policy" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["--config", "gate.toml"], "ConfigError"), (["--rounds", "4"], "--rounds")],
)
def test_what_could_not_be_judged_is_refused_before_anything_runs(
    invoke: Callable[..., Any],
    script: Script,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    expected: str,
) -> None:
    """A configuration that makes no sense, and pairs that are too few after two looks, cost no run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gate.toml").write_text("[waivers]\n")
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert expected in done.stderr
    assert not script.ran
    assert not (tmp_path / "out").exists()


def test_a_comparison_is_complete_when_its_reports_are_there(
    invoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A disk that is full by then leaves all records, and a header that does not say complete."""

    def full(*_arguments: Any, **_more: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(compare_reports, "render_junit", full)
    done = invoke()
    assert done.exit_code == 2
    assert json.loads((tmp_path / "out" / "compare.json").read_text())["complete"] is False


def test_the_same_question_can_be_asked_again(invoke: Callable[..., Any], tmp_path: Path) -> None:
    """The header and the comment have the options as they were given."""
    grid = str(tmp_path / "grid.toml")
    invoke("--cells", "*pages=64*", "--claim", "refactor")
    options = ["--grid", grid, "--cells", "*pages=64*", "--claim", "refactor", "--no-host-time"]
    assert json.loads((tmp_path / "out" / "compare.json").read_text())["options"] == options
    command = f"`exhausters compare release:0.5.22 release:0.5.23 {shlex.join(options)}`"
    assert command in (tmp_path / "out" / "comment.md").read_text()


def test_variables_of_the_shell_are_named(
    invoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What SGLang would read and no worker is given is one note."""
    monkeypatch.setenv("SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION", "512")
    assert "not passed on to SGLang: SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION" in invoke().stderr


def test_a_full_disk_keeps_what_was_measured(
    invoke: Callable[..., Any], script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is a typed error with exit code 2; records written before stay, and nothing says complete."""

    def fill(target: str, passes: tuple[str, ...], cell: str) -> None:
        if passes == ("counted",):
            monkeypatch.setattr(RecordWriter, "_write_files", full)

    def full(*_arguments: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    script.on_run = fill
    done = invoke()
    assert done.exit_code == 2
    assert "StoreError" in done.stderr
    assert "No space left on device" in done.stderr
    stored = read_records(tmp_path / "out" / "base")
    assert len(stored.records) == 3
    assert not stored.is_complete
    assert json.loads((tmp_path / "out" / "compare.json").read_text())["complete"] is False


def test_one_side_that_stalls_is_worse(
    invoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A pool of head's that no request fits into: requests wait for ever, which is an answer, exit code 1."""
    boot = workers.boot

    def small(target: PreparedTarget, engine: Any, **more: Any) -> Any:
        head = target.name == "release:0.5.23"
        return boot(target, replace(engine, max_total_tokens=64) if head else engine, **more)

    monkeypatch.setattr(workers, "boot", small)
    done = invoke("--cells", "*pages=all*")
    (found,) = read_records(tmp_path / "out" / "head").records
    assert found.result.outcome == STALLED
    assert done.exit_code == 1, done.output
    assert "stalled" in done.stdout


def test_ctrl_c_is_no_answer(invoke: Callable[..., Any], script: Script) -> None:
    """Exit code 1 would say worse: it is 2, with a sentence."""

    def interrupt(target: str, passes: tuple[str, ...], cell: str) -> None:
        raise KeyboardInterrupt

    script.on_run = interrupt
    done = invoke()
    assert done.exit_code == 2
    assert "interrupted; what has been written stays" in done.stderr
