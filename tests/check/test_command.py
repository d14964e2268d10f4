"""The command `exhausters check`: exit codes, what it prints, and the files that it leaves. On fake hosts."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import exhausters.targets
from exhausters.cli.app import app
from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.errors import BootError
from exhausters.oracles import PROMISES
from exhausters.results_folder import folder_held
from exhausters.sweep import workers
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_target

Invoke = Callable[..., Any]
_GRID = """
name = "mine"
[axes]
workload = ["bursts:bursts=1,burst_requests=6", "agents:conversations=3,turns=2"]
max_total_tokens = [16384]
"""


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Invoke]:
    """Run the command on a small grid, with hosts in this process and a target that needs no preparation."""
    FakeHost.made.clear()
    monkeypatch.setattr(workers, "Host", FakeHost)
    monkeypatch.setattr(exhausters.targets, "prepare", lambda text, **_: a_target())
    (tmp_path / "grid.toml").write_text(_GRID)

    def run(*arguments: str) -> Any:
        own = ["--grid", str(tmp_path / "grid.toml"), "--out", str(tmp_path / "out"), "--workers", "1"]
        return CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(
            app, ["check", "x", *own, *arguments]
        )

    yield run
    assert all(host.closed or not host.run_count for host in FakeHost.made), "a worker is left"
    FakeHost.made.clear()


@pytest.fixture(name="shy")
def _shy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake admits nobody while two requests run, though there is room."""
    original = FakeScheduler._admit

    def admit(self: FakeScheduler, request: Any) -> bool:
        return len(self.running.requests) < 2 and original(self, request)

    monkeypatch.setattr(FakeScheduler, "_admit", admit)


def _document(folder: Path) -> Any:
    return json.loads((folder / "out" / "check.json").read_text())


def test_kept_promises_exit_with_0(invoke: Invoke, tmp_path: Path) -> None:
    """Every promise has its row, every cell its outcome; nothing is found, and no script is left."""
    result = invoke()
    assert result.exit_code == 0, result.output
    assert all(one.name in result.output for one in PROMISES)
    assert "calls in an idle step" in result.output
    assert "2 cells: 2 drained" in result.output
    document = _document(tmp_path)
    assert document["exit_code"] == 0
    assert [one["outcome"] for one in document["cells"]] == ["drained", "drained"]
    assert document["groups"] == []
    judged = {one["promise"]: one["judged"] for one in document["promises"]}
    assert all(judged[name] for name in ("conservation", "nothing grows", "idle cost", "liveness"))
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [".lock", "check.json", "issue.md"]
    assert "no promise was found broken" in (tmp_path / "out" / "issue.md").read_text()


@pytest.mark.usefixtures("shy")
def test_a_broken_promise_exits_with_1(invoke: Invoke, tmp_path: Path) -> None:
    """What was wanted and seen is printed; the script is written, fails, and is in the issue and the JSON."""
    result = invoke()
    assert result.exit_code == 1, result.output
    assert "work conservation (not marked full)" in result.output
    assert "nothing is admitted while" in result.output
    assert "fails on this build" in result.output
    script = (tmp_path / "out" / "test_work_conservation.py").read_text()
    document = _document(tmp_path)
    assert document["exit_code"] == 1
    assert document["scripts"]["test_work_conservation.py"] == {"is_proven": True, "text": script}
    issue = (tmp_path / "out" / "issue.md").read_text()
    assert script.rstrip() in issue
    assert "broken: work conservation" in issue


@pytest.mark.usefixtures("shy")
def test_no_script_is_asked_for(invoke: Invoke, tmp_path: Path) -> None:
    """With no runs for it there is no script, and the answer is the same."""
    result = invoke("--max-runs", "0", "--cells", "bursts*")
    assert result.exit_code == 1
    assert "1 cells: 1 drained" in result.output
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [".lock", "check.json", "issue.md"]


def test_what_grows_is_told_without_a_script(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finding of several rounds exits with 1, and says why no script shows it."""
    kept: list[Any] = []
    original = FakeScheduler.receive

    def receive(self: Any, *args: Any) -> None:
        kept.append([args[0]])
        original(self, *args)

    monkeypatch.setattr(FakeScheduler, "receive", receive)
    result = invoke()
    assert result.exit_code == 1, result.output
    assert "no script: nothing grows shows over several rounds only" in result.output
    assert [one["promise"] for one in _document(tmp_path)["groups"]] == ["nothing grows"]


def test_a_lost_page_is_a_finding(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that are lost break a promise, with a script; they are no crash."""
    original = FakeScheduler._finish

    def finish(self: Any, request: Any) -> None:
        if request.rid == "burst-0-3":
            self.pages.allocate(1)
        original(self, request)

    monkeypatch.setattr(FakeScheduler, "_finish", finish)
    result = invoke("--cells", "bursts*")
    assert result.exit_code == 1, result.output
    assert "conservation (KV tokens leaked)" in result.output
    assert "16 KV tokens leaked: free" in result.output
    assert "script: test_conservation.py: 1 requests" in result.output


def test_a_cell_that_cannot_run_exits_with_2(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that does not boot was not judged: that is no pass, and the reason is printed."""

    def on_boot(settings: Any) -> None:
        raise BootError("does not come up")

    monkeypatch.setattr(FakeHost, "on_boot", staticmethod(on_boot))
    result = invoke()
    assert result.exit_code == 2, result.output
    assert "does not come up" in result.output
    assert "the run ended as crashed (2 cells)" in result.output
    assert {one["outcome"] for one in _document(tmp_path)["cells"]} == {"crashed"}


def test_two_do_not_share_a_folder(invoke: Invoke, tmp_path: Path) -> None:
    """The second is refused before it boots anything."""
    with folder_held(tmp_path / "out", holds="check"):
        result = invoke()
    assert result.exit_code == 2
    assert "another check writes into it" in result.output
    assert not FakeHost.made


@pytest.mark.usefixtures("shy")
def test_a_disk_that_is_full_in_the_end_loses_no_answer(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Findings, JSON and issue are printed; that they were not written is an error with exit code 2."""
    write_text = Path.write_text

    def full(path: Path, text: str, **more: Any) -> int:
        if path.is_relative_to(tmp_path / "out"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_text(path, text, **more)

    monkeypatch.setattr(Path, "write_text", full)
    result = invoke("--cells", "bursts*")
    assert result.exit_code == 2, result.output
    assert "work conservation (not marked full)" in result.stdout
    printed = result.stdout.partition("check.json, which could not be written:\n")[2]
    assert json.JSONDecoder().raw_decode(printed)[0]["exit_code"] == 1
    assert "broken: work conservation" in printed.partition("issue.md, which could not be written:\n")[2]
    assert "StoreError" in result.stderr
    assert "no script" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cells", "nowhere"], "matches none of 2 cells"),
        (["--grid", "no-such-grid"], "there is no such file"),
    ],
)
def test_bad_input_exits_with_2(invoke: Invoke, tmp_path: Path, arguments: list[str], said: str) -> None:
    """A cell or a grid that there is not is an error that names it; nothing is written."""
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()
