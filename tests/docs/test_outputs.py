"""Commands of the documents are run, and print what is shown below them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, blocks_of
from tests.docs.sandbox import Sandbox, matches


def _pages(*, slow: bool) -> list[Path]:
    """Pages with commands to be run; in a slow run those that have a slow one, with all their others."""
    return [
        page
        for page in PAGES
        if any(
            block.mark.split()[:1] == ["run"] and ("slow" in block.mark.split()) == slow
            for block in blocks_of(page)
        )
    ]


def _faults(page: Path, folder: Path, *, slow: bool) -> list[str]:
    sandbox = Sandbox.make(folder / "repository")
    faults: list[str] = []
    has_run = False
    for block in blocks_of(page):
        kind, *words = block.mark.split() or [""]
        if kind == "run":
            has_run = slow or "slow" not in words
        if kind in ("file", "patch") or (kind in ("run", "excerpt") and has_run):
            faults += sandbox.play(block)
    return faults


@pytest.mark.parametrize("page", _pages(slow=False), ids=lambda path: str(path.relative_to(ROOT)))
def test_quick_commands_print_what_is_shown(page: Path, tmp_path: Path) -> None:
    """Each command that is marked to be run prints what its page shows."""
    assert "\n".join(_faults(page, tmp_path, slow=False)) == ""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", _pages(slow=True), ids=lambda path: str(path.relative_to(ROOT)))
def test_slow_commands_print_what_is_shown(page: Path, tmp_path: Path) -> None:
    """The same of those that take minutes, with all that comes before them on their page."""
    assert "\n".join(_faults(page, tmp_path, slow=True)) == ""


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        (["a", "b"], ["a", "b", ""], True),
        (["a …", "..."], ["a 1", "b", "c"], True),
        (["a", "...", "d"], ["a", "d"], True),
        (["took … s"], ["took 1.2 s"], True),
        (["a"], ["a", "b"], False),
        (["a", "...", "d"], ["a", "b"], False),
        (["1 … 2"], ["1", "2"], False),
    ],
)
def test_what_stands_for_anything(shown: list[str], printed: list[str], expected: bool) -> None:
    """`…` is anything within a line, `...` any number of lines, and everything else is itself."""
    assert matches(shown, printed) is expected
