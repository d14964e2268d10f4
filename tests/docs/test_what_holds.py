"""The table of CONTRIBUTING.md that says which command shows what."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT

# Claims of the project that a reader may want to see hold.
_POINTS = ["Ray", "long runs", "scan", "findings", "golden traces", "site", "dashboard", "release"]


def _rows() -> list[tuple[str, str]]:
    """What each row is of, and its last cell: the commands."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text.partition("## What shows that it holds")[2].partition("\n## ")[0]
    rows = [re.split(r"(?<!\\) ?\| ?", line) for line in section.splitlines() if line.startswith("| ")]
    return [(cells[1].strip(), cells[-2]) for cells in rows[1:]]


def test_each_point_has_its_command() -> None:
    """No claim without a way to see that it holds."""
    assert [of for of, _ in _rows() if of] == _POINTS
    assert all(re.search(r"`(make|exhausters|python) ", commands) for _, commands in _rows())


@pytest.mark.parametrize("commands", [commands for _, commands in _rows()])
def test_what_the_commands_name_is_there(commands: str) -> None:
    """Files and folders of tests that a command is given exist."""
    for given in re.findall(r'PYTEST_ARGS=(?:"([^"]*)"|([^\s`"]+))', commands):
        paths = [word for word in " ".join(given).split() if word.startswith("tests")]
        assert paths
        assert all((ROOT / path).exists() for path in paths)
