from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
NEEDED = {
    "nightly": [
        "mirror",
        "mirror",
        "nightly",
        "asv",
        "asv-publish",
        "bench-harness",
        "test-browser",
        "test-slow",
        "test-releases",
    ],
    "pull-request": ["lint", "docs", "test"],
}


def commands(path: Path) -> list[str]:
    """Every command of a workflow, in order."""
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    jobs = document["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def help_targets() -> set[str]:
    """What `make help` lists."""
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {line.split()[0] for line in done.stdout.splitlines() if line.strip()}


def test_both_workflows_are_there() -> None:
    """The nightly run and the pull-request run have a file each."""
    assert [path.stem for path in WORKFLOWS] == sorted(NEEDED)


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_every_command_is_a_chore_that_a_person_can_call(path: Path) -> None:
    """Workflows run `make TARGET` and nothing else, with targets that `make help` tells of."""
    called = [shlex.split(command) for command in commands(path)]
    assert [words[0] for words in called] == ["make"] * len(called)
    assert [words[1] for words in called] == NEEDED[path.stem]
    assert {words[1] for words in called} <= help_targets()


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_torch_is_the_cpu_build(path: Path) -> None:
    """Where only the default index is configured, torch comes without CUDA."""
    assert yaml.safe_load(path.read_text())["env"]["UV_TORCH_BACKEND"] == "cpu"


def test_nightly_runs_by_the_clock_and_by_hand() -> None:
    """The nightly run has a schedule and a button; `on` is a truth value to YAML 1.1."""
    document = yaml.safe_load((ROOT / ".github" / "workflows" / "nightly.yml").read_text())
    triggers = document[True]
    assert "workflow_dispatch" in triggers
    assert re.fullmatch(r"\S+( \S+){4}", triggers["schedule"][0]["cron"])


def test_variables_of_the_workflow_are_read_by_make() -> None:
    """What a workflow sets by environment is a variable of the Makefile that the environment may set."""
    makefile = (ROOT / "Makefile").read_text()
    for path in WORKFLOWS:
        for name in set(yaml.safe_load(path.read_text())["env"]) - {"UV_TORCH_BACKEND"}:
            assert re.search(rf"^{name} \?=", makefile, re.MULTILINE), name
