"""A copy of the repository in which the commands of one page are run, and what they print compared."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.pages import ROOT, Block, Command

# Neither results nor anything that is large or made anew.
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", ".cache", ".*_cache", ".asv", ".hypothesis", "__pycache__", "results", "build", "dist"
)
_SECONDS = 1200
_ANY_LINES = "..."
_ANYTHING = "…"


@dataclass(slots=True)
class Sandbox:
    """A copy of the repository with the environment of these tests as its `.venv`.

    Attributes:
        folder: the copy.
        printed: what its last command has printed, by line.
    """

    folder: Path
    printed: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path) -> Sandbox:
        """Copy the repository to a folder that is not there yet."""
        shutil.copytree(ROOT, folder, ignore=_LEFT_OUT)
        (folder / ".venv").symlink_to(sys.prefix, target_is_directory=True)
        return cls(folder)

    def play(self, block: Block) -> list[str]:
        """Do what the block's mark says; return a description of each command that went another way."""
        kind, *words = block.mark.split()
        if kind == "file":
            path = self.folder / words[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
            return []
        if kind == "patch":
            return self._patched(block)
        if kind == "excerpt":
            shown = [_ANY_LINES, *_trimmed(block.text.splitlines()), _ANY_LINES]
            return [] if matches(shown, self.printed) else [f"{block.place}: not in what was printed"]
        expected = next((int(word.removeprefix("exit=")) for word in words if word.startswith("exit=")), 0)
        last = len(block.commands) - 1
        return [
            fault
            for position, command in enumerate(block.commands)
            if (fault := self._fault(command, expected if position == last else 0))
        ]

    def _patched(self, block: Block) -> list[str]:
        done = subprocess.run(
            ["patch", "-p1", "--batch", "--silent"],
            cwd=self.folder,
            input=block.text,
            capture_output=True,
            text=True,
            check=False,
        )
        return (
            [] if done.returncode == 0 else [f"{block.place}: the patch fails:\n{done.stdout}{done.stderr}"]
        )

    def _fault(self, command: Command, expected: int) -> str:
        """What a command did otherwise than its page says; empty when nothing."""
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
        }
        environ |= {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}",
            "PYTHONPATH": str(self.folder),
            "NO_COLOR": "1",
            "COLUMNS": "140",
        }
        done = subprocess.run(
            ["bash", "-c", command.text],
            cwd=self.folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        self.printed = printed = [line.rstrip() for line in done.stdout.splitlines()]
        if done.returncode != expected:
            found = f"exit code {done.returncode} instead of {expected}"
        elif _trimmed(command.output) and not matches(command.output, printed):
            found = "printed something else"
        else:
            return ""
        return f"{command.place}: `{command.text}`: {found}:\n" + "\n".join(printed)


def matches(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether output is what a page shows, where `…` stands for anything and `...` for any lines.

    Empty lines at the ends do not count.
    """
    pattern = "".join(_line_pattern(line.rstrip()) for line in _trimmed(shown))
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _trimmed(printed))) is not None


def _line_pattern(line: str) -> str:
    if line.strip() == _ANY_LINES:
        return r"(?:.*\n)*?"
    return r"[^\n]*?".join(re.escape(part) for part in line.split(_ANYTHING)) + r"\n"


def _trimmed(lines: Sequence[str]) -> Sequence[str]:
    kept = list(lines)
    while kept and not kept[-1].strip():
        kept.pop()
    while kept and not kept[0].strip():
        kept.pop(0)
    return kept
