"""The workflow that is to be copied: its steps, run as shell scripts with stand-ins for what they call."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from exhausters.compare.folder import write_header
from tests.docs.pages import ROOT

_WORKFLOW = ROOT / "docs" / "examples" / "github_workflow.yml"
# Writes what it was called with; leaves the files of the folder `left` behind, and exits as it is told.
_STAND_IN = """\
#!/bin/sh
echo "$(basename "$0") $*" >> calls
[ "$(basename "$0")" = exhausters ] || exit 0
mkdir -p results/gate
cp left/* results/gate/ 2> /dev/null
exit "$EXIT_CODE"
"""


def _document() -> dict[Any, Any]:
    document: dict[Any, Any] = yaml.safe_load(_WORKFLOW.read_text())
    return document


def _steps() -> dict[str, str]:
    """The scripts of the job's steps, by name."""
    steps = _document()["jobs"]["gate"]["steps"]
    return {step["name"]: step["run"] for step in steps if "run" in step}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A folder as the runner has it: a clone with a branch, and a harness that only notes its calls."""

    folder: Path
    base: str
    fork: str
    head: str

    def step(self, name: str, *, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run one step as a runner does: `bash -e`."""
        environ = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "EXIT_CODE": str(exit_code),
            "BASE": self.base,
            "HEAD": self.head,
            "CLAIM": "refactor",
        }
        script = self.folder / "step.sh"
        script.write_text(_steps()[name])
        return subprocess.run(
            ["bash", "-e", str(script)],
            cwd=self.folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def text(self, name: str) -> str:
        """A file of the folder; empty if there is none."""
        path = self.folder / name
        return path.read_text() if path.exists() else ""


def _git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture(name="job")
def _job(tmp_path: Path) -> _Job:
    """A branch of one commit, from whose base the target branch has moved on."""
    clone = tmp_path / "sglang"
    clone.mkdir()
    _git(clone, "init", "--quiet", "--initial-branch=main")
    commits = {}
    for name, switch in (("fork", ()), ("head", ("--create", "mine")), ("base", ("main",))):
        if switch:
            _git(clone, "switch", "--quiet", *switch)
        _git(clone, "commit", "--quiet", "--allow-empty", "--message", name)
        commits[name] = _git(clone, "rev-parse", "HEAD")
    (tmp_path / "left").mkdir()
    for program in (tmp_path / "harness" / ".venv" / "bin" / "exhausters", tmp_path / "bin" / "make"):
        program.parent.mkdir(parents=True)
        program.write_text(_STAND_IN)
        program.chmod(0o755)
    return _Job(folder=tmp_path, **commits)


def test_the_steps_need_nothing_of_the_runner_but_their_environment() -> None:
    """No script has an expression in it: a branch's name cannot become a command, and a person can run it."""
    assert list(_steps()) == ["Set up", "Compare", "Summary"]
    assert not [script for script in _steps().values() if "${{" in script]


def test_a_label_asks_again() -> None:
    """Claims are labels, which by default start no workflow; the three usual types stay."""
    triggers = _document()[True]["pull_request"]  # `on` is a truth value to YAML 1.1
    assert {"labeled", "unlabeled", "opened", "synchronize", "reopened"} == set(triggers["types"])


def test_the_commit_it_branched_from_is_compared(job: _Job) -> None:
    """Not the tip of the target branch: what others merged meanwhile is not this change's doing."""
    assert job.step("Set up").returncode == 0
    assert job.step("Compare").returncode == 0
    assert job.text("calls").splitlines() == [
        "make -C harness setup",
        f"exhausters compare git:sglang@{job.fork} git:sglang@{job.head} --claim refactor --no-host-time "
        "--out results/gate",
    ]


@pytest.mark.parametrize(
    ("code", "broken_in", "expected", "said"),
    [
        (0, None, 0, ""),
        (1, None, 1, ""),
        (1, "head", 1, ""),
        (2, None, 0, "::warning::no verdict"),
        (2, "base", 0, "::warning::no verdict"),
        (2, "both", 0, "::warning::no verdict"),
        (2, "head", 1, "::error::broken by this change"),
    ],
)
def test_the_job_fails_on_what_the_change_did(
    job: _Job, code: int, broken_in: str | None, expected: int, said: str
) -> None:
    """Worse fails, and so does what broke in head alone; what says nothing of the change only warns."""
    # A note may quote what the step looks for.
    header = {"tried": ['"broken_in": "head"'], "broken_in": broken_in, "complete": True}
    write_header(job.folder / "left", header)
    (job.folder / "left" / "comment.md").write_text("what was found\n")
    done = job.step("Compare", exit_code=code)
    assert (done.returncode, done.stdout.partition(",")[0].strip()) == (expected, said)
    assert job.step("Summary").returncode == 0
    assert job.text("summary") == "what was found\n"


@pytest.mark.parametrize("begun", [False, True])
def test_what_was_never_compared_warns(job: _Job, begun: bool) -> None:
    """Without an index, or a commit, there is no report: the job warns, and its summary says so."""
    if begun:
        write_header(job.folder / "left", {"complete": False})
    done = job.step("Compare", exit_code=2)
    assert (done.returncode, done.stdout.partition(",")[0]) == (0, "::warning::no verdict")
    assert job.step("Summary").returncode == 0
    assert "Nothing was compared" in job.text("summary")
