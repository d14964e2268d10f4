"""Every command in the documents exists, and takes the options that it is shown with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.check_command import fault_of
from tests.docs.pages import CONSOLE, PAGES, ROOT, Command, blocks_of, commands_of, is_command

# Blocks in other languages are files: they may have commands in them, as a workflow has.
_PLAIN = ("", "text", "sh", "bash", "shell")


def _command(text: str, *, is_inline: bool = False) -> Command:
    return Command(text=text, output=(), place="here", is_inline=is_inline)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_exist(page: Path) -> None:
    """Every command of a page, in a block or in a sentence, could be given: its options exist."""
    assert [fault for one in commands_of(page) if (fault := fault_of(one))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_are_found(page: Path) -> None:
    """No block that is not `console` has a command in it: the test above would not see it."""
    unseen = [
        f"{block.place}: {line}"
        for block in blocks_of(page)
        if block.language in _PLAIN
        for line in block.text.splitlines()
        if is_command(line.removeprefix("$ "))
    ]
    assert unseen == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_outputs_are_run_or_say_why_not(page: Path) -> None:
    """Output that is shown is compared with what is printed, or the page says why it is not."""
    unmarked = [
        block.place
        for block in blocks_of(page)
        if block.language == CONSOLE and not block.mark and any(one.output for one in block.commands)
    ]
    assert unmarked == []


@pytest.mark.parametrize(
    "text",
    [
        "exhausters sweep --target release:0.5.23 --grid short --out results/x > log 2>&1",
        "EXHAUSTERS_ASV_GRID=short make asv ASV_RANGE=v0.5.13..v0.5.23",
        "exhausters growth BASE HEAD [--axis context|queue|tree] [--rounds 10]",
        "cd ../sglang && git log | head -3",
        ".venv/bin/python -m reports gate base head --markdown comment.md",
        "python -m pip install 'sglang-exhausters[fuzz]'",
    ],
)
def test_what_is_right_passes(text: str) -> None:
    """Commands as pages write them have no fault."""
    assert fault_of(_command(text)) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("exhausters swep", "no command 'swep'"),
        ("exhausters sweep --gird short", "--gird"),
        ("exhausters sweep --grid shrot", "no grid 'shrot'"),
        ("exhausters compare release:0.5.23", "head"),
        ("exhausters sweep --workers many", "many"),
        ("make benhc", "no target benhc"),
        ("make bench TARGTE=x", "no variable TARGTE"),
        ("python -m benchmarks.gone", "no module benchmarks.gone"),
        ("python -m exhausters.workloads agents --page-sise 4", "no option --page-sise"),
        ("asv compare --facter 2 A B", "--facter"),
        ("pip install 'sglang-exhausters[fuz]'", "no extra fuz"),
        ("true && exhauster sweep", "not a program"),
    ],
)
def test_what_is_wrong_is_told(text: str, told: str) -> None:
    """The check itself finds a command, option, variable, grid, module or extra that is not there."""
    fault = fault_of(_command(text))
    assert fault is not None
    assert told in fault


def test_a_sentence_may_name_a_command_alone() -> None:
    """In a sentence `exhausters compare --host-time` is short for all of it; in a block it is a fault."""
    text = "exhausters compare --host-time"
    assert fault_of(_command(text, is_inline=True)) is None
    assert fault_of(_command(text)) is not None
