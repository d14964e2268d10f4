"""Files that were moved or renamed: what did not change in them is no change."""

from __future__ import annotations

from collections.abc import Mapping

# Of the lines of either file, those that both have. Git takes a file for a rename from 50 % on.
_MIN_SHARED = 0.5


def moved_files(gone: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Return where files went that only base has: the path in head, by the path in base.

    Each goes to the file with which it shares most of its different lines, if that is at least half of both.

    Args:
        gone, new: the text of each file that only base, or only head, has, by its path.
    """
    before, after = ({path: _lines(text) for path, text in files.items()} for files in (gone, new))
    shares = sorted(
        (
            (len(ours & theirs) / len(ours | theirs), old, path)
            for old, ours in before.items()
            for path, theirs in after.items()
            if ours & theirs
        ),
        key=lambda one: (-one[0], *one[1:]),
    )
    moved: dict[str, str] = {}
    for share, old, path in shares:
        if share >= _MIN_SHARED and old not in moved and path not in moved.values():
            moved[old] = path
    return moved


def _lines(text: str) -> frozenset[str]:
    return frozenset(filter(None, map(str.strip, text.splitlines())))
