from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
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
        "test-ray",
        "package",
        "coverage",
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


def test_every_chore_that_tests_something_is_run_by_a_workflow() -> None:
    """Whatever `make help` lists as a test, a check of the package or a linter runs by itself, somewhere."""
    ran = {name for names in NEEDED.values() for name in names}
    checks = {name for name in help_targets() if name.startswith("test")}
    assert checks | {"lint", "docs", "package", "coverage", "bench-harness"} <= ran


def test_pythons_that_are_claimed_are_tested() -> None:
    """The classifiers name the Pythons on which the tests of a pull request run, and no others."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    claimed = re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))
    document = yaml.safe_load((ROOT / ".github" / "workflows" / "pull-request.yml").read_text())
    assert claimed == document["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert project["requires-python"] == f">={claimed[0]}"


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
