"""Text between two marks of a document, which stay where they are."""

from __future__ import annotations

from pathlib import Path

from exhausters.errors import UsageError


def write_between(document: Path, begin: str, end: str, text: str) -> None:
    """Replace what is between two marks of a document; what is around them stays.

    Raises:
        UsageError: the document has no such marks; nothing is written.
    """
    before, has_begin, rest = document.read_text().partition(begin)
    _, has_end, after = rest.partition(end)
    if not has_begin or not has_end:
        raise UsageError(f"{document}: expected the lines {begin!r} and {end!r}; restore them")
    document.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
