"""Extras: what is in none of them, and the error of a command that lacks one."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exhausters.cli.app import app
from exhausters.extras import EXTRAS

ROOT = Path(__file__).parents[1]
# Of some hundred megabytes, and no use on one machine: whoever has a cluster installs it by name.
_NOT_IN_ALL = {"ray"}
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _distributions(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", text)[0].lower() for text in requirements}


def test_extras_are_those_of_the_project() -> None:
    """Each module that a command asks for comes with a distribution of the extra that its error names."""
    provided = importlib.metadata.packages_distributions()
    for extra, modules in EXTRAS.items():
        wanted = _distributions(_PROJECT["optional-dependencies"][extra])
        for module in modules:
            assert {
                name.lower() for name in provided.get(module, [module])
            } & wanted or module == "asv_runner"
    assert {*EXTRAS, "all", "dev", "worker"} <= set(_PROJECT["optional-dependencies"])
    named = re.search(r"\[(.*)\]", _PROJECT["optional-dependencies"]["all"][0])
    assert named is not None
    assert set(named[1].split(",")) == set(EXTRAS) - _NOT_IN_ALL


def test_whatever_a_chore_installs_has_an_exact_version() -> None:
    """constraints.txt pins each requirement of the project and of its extras, of no index in particular.

    What a worker needs goes into the environments of targets, by the pins of their SGLang.
    """
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [line for line in pins if not re.match(r"[\w.-]+==[\w.]+( ;|$)", line)] == []
    extras = {name: list(of) for name, of in _PROJECT["optional-dependencies"].items() if name != "worker"}
    wanted = _distributions([*_PROJECT["dependencies"], *(one for of in extras.values() for one in of)])
    assert wanted - {_PROJECT["name"]} - {line.partition("==")[0] for line in pins} == set()


@pytest.mark.parametrize(
    ("words", "hidden", "extra"),
    [
        (["gate", "a", "b"], "pandas", "reports"),
        (["build", "a"], "scipy", "reports"),
        (["history", "a"], "pandas", "reports"),
        (["scan-report", "a"], "pandas", "reports"),
        (["compare", "release:0.5.22", "release:0.5.23"], "pandas", "reports"),
        (["growth", "release:0.5.23"], "ruptures", "reports"),
        (["mirror"], "pypi_simple", "mirror"),
    ],
)
def test_a_command_that_lacks_its_extra_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], hidden: str, extra: str
) -> None:
    """It is one typed error with the command that installs it, before anything is run or written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, hidden, None)  # as if it were not installed
    done = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "300"}).invoke(app, words)
    assert done.exit_code == 2
    assert "MissingExtraError" in done.stderr
    assert f"not installed: pip install 'sglang-exhausters[{extra}]'" in done.stderr
    assert list(tmp_path.iterdir()) == []
