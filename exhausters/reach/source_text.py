"""Python sources as text, and what their calls call."""

from __future__ import annotations

import ast
from pathlib import Path


def read_source(path: Path) -> str:
    """Return the text of a file; empty where there is no such file.

    Bytes that are no UTF-8 are replaced, and a mark of the byte order at its start, which a few files of
    SGLang have and no parser takes, is left out.
    """
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        return ""


def called_name(function: ast.expr) -> str:
    """Return the last name of what is called, whatever it is a part of; empty where it has none."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
