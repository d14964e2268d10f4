"""The documents' blocks and commands, as they are written.

A block of the language `console` has commands, each behind `$ `, and what they print. A comment before a
block says what a test does with it:

    <!-- run -->              run its commands in order, and compare what they print
    <!-- run slow -->         the same, among the tests that take minutes
    <!-- run exit=1 -->       the same; the last command exits with 1
    <!-- file mine.toml -->   write the block to this file, for the commands below it
    <!-- patch -->            apply the block, a difference, to the files of the repository
    <!-- excerpt -->          what the last command before it has printed has this block in it
    <!-- shown: REASON -->    the output is not compared, for this reason

In an output `…` stands for anything within a line, and a line `...` for any number of lines. Of a command
below which nothing is shown, the exit code alone is compared.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"],
    key=lambda path: str(path.relative_to(ROOT)),
)
CONSOLE = "console"
_BLOCK = re.compile(
    r"(?:^ *<!-- (?P<mark>(?:run|file|patch|excerpt|shown:)[^\n]*?) -->\n\n?)?"
    r"^(?P<indent> *)```(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_PROMPT = "$ "


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of a page.

    Attributes:
        text: the command, in one line.
        output: the lines that are shown below it.
        place: page and line, for messages.
        is_inline: it stands in a sentence, where a name alone stands for the command.
    """

    text: str
    output: tuple[str, ...]
    place: str
    is_inline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block of a page; `mark` is what the comment before it says, empty without one."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    @property
    def place(self) -> str:
        """Page and line of its first line, for messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> tuple[Command, ...]:
        """The commands of a console block, in order."""
        found: list[Command] = []
        lines = self.text.splitlines()
        position = 0
        while position < len(lines):
            start = position
            if not lines[position].startswith(_PROMPT):
                position += 1
                continue
            written = lines[position].removeprefix(_PROMPT)
            while written.endswith("\\"):
                position += 1
                written = written[:-1].rstrip() + " " + lines[position].strip()
            position += 1
            end = position
            while end < len(lines) and not lines[end].startswith(_PROMPT):
                end += 1
            place = f"{self.page.relative_to(ROOT)}:{self.line + start}"
            found.append(Command(text=written, output=tuple(lines[position:end]), place=place))
            position = end
        return tuple(found)


def blocks_of(page: Path) -> tuple[Block, ...]:
    """Return the fenced blocks of a page, in order."""
    text = page.read_text()
    return tuple(
        Block(
            page=page,
            line=text.count("\n", 0, match.start("text")) + 1,
            language=match["language"],
            mark=(match["mark"] or "").strip(),
            text=textwrap.dedent(match["text"]),
        )
        for match in _BLOCK.finditer(text)
    )


def inline_code(page: Path) -> tuple[tuple[str, str], ...]:
    """Return what a page has in backticks outside of blocks, each with its place, broken lines joined."""
    text = _BLOCK.sub(lambda block: "\n" * block[0].count("\n"), page.read_text())
    name = page.relative_to(ROOT)
    return tuple(
        (" ".join(match[1].split()), f"{name}:{text.count(chr(10), 0, match.start()) + 1}")
        for match in _INLINE.finditer(text)
    )


def commands_of(page: Path) -> tuple[Command, ...]:
    """Return every command of a page: those of its console blocks, and those in its sentences."""
    shown = [one for block in blocks_of(page) if block.language == CONSOLE for one in block.commands]
    inline = [
        Command(text=text, output=(), place=place, is_inline=True)
        for text, place in inline_code(page)
        if is_command(text)
    ]
    return (*shown, *inline)


_COMMAND = re.compile(
    r"(?:[A-Z][A-Z_0-9]*=\S+ +)*"
    r"(?:(?:\S*/)?(?:exhausters|make|asv) +\S|(?:\S*/)?python(?:3[.\d]*)? +(?:-m +\w|\S+\.py))"
)


def is_command(text: str) -> bool:
    """Whether a text in backticks, or a line of a block, is a command of this project."""
    return _COMMAND.match(text) is not None
