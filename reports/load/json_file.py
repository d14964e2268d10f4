"""Read JSON, and say precisely what is wrong with a file that is not JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reports.errors import ForeignFileError, ResultFileError, TruncatedFileError


def read_text(path: Path) -> str:
    """Return a file's text; raises ResultFileError (no such file) or ForeignFileError (not text)."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ForeignFileError(f"{path}: not text ({error}); expected JSON") from error
    except OSError as error:
        raise ResultFileError(f"{path}: {error.strerror}") from error


def parse_object(text: str, *, place: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        TruncatedFileError: the text ends in the middle of a value.
        ForeignFileError: it is not JSON, or not an object.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if not text.strip() or _ends_early(text, error):
            raise TruncatedFileError(
                f"{place}: ends in the middle of a value ({error}); write it again"
            ) from error
        raise ForeignFileError(f"{place}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise ForeignFileError(f"{place}: expected a JSON object, found {type(value).__name__}")
    return value


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; raises what `read_text` and `parse_object` raise."""
    return parse_object(read_text(path), place=str(path))


def utc_date(text: object) -> datetime | None:
    """Return a date in ISO 8601, of UTC where it names no zone; None for none. Raises ValueError."""
    if text is None:
        return None
    date = datetime.fromisoformat(str(text))
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _ends_early(text: str, error: json.JSONDecodeError) -> bool:
    """A text that begins as an object and breaks at its end was cut off; others never were JSON."""
    if not text.lstrip().startswith("{"):
        return False
    rest = text[error.pos :].strip()
    return not rest or error.msg.startswith("Unterminated") or ("\n" not in rest and len(rest) < _WORD)


# A literal or a number that was cut in two is no longer than this.
_WORD = 32
