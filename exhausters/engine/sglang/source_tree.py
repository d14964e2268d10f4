"""What SGLang's source says without being imported; standard library only, read by the parent process."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

# The folder, below the one that contains `sglang/`, that holds all the scheduler executes.
WATCHED = "sglang/srt"

# The class itself, and where newer releases keep its fields in groups.
_SERVER_ARGS, _FIELD_GROUPS = "server_args.py", "arg_groups/fields"


def switches(source_dir: Path) -> Mapping[str, object]:
    """Return the keywords of a build's `ServerArgs`, each with its default; None for one that is no constant.

    Empty where the source has no such class.
    """
    folder = source_dir / WATCHED
    found = _fields(folder / _SERVER_ARGS, named="ServerArgs")
    for group in sorted((folder / _FIELD_GROUPS).rglob("*.py")):
        found |= _fields(group)
    return found


def _fields(file: Path, *, named: str | None = None) -> dict[str, object]:
    """The fields of the classes of a file, or of the one that is named."""
    try:
        module = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}
    return {
        field.target.id: _default(field.value)
        for node in module.body
        if isinstance(node, ast.ClassDef) and node.name == (named or node.name)
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }


def _default(value: ast.expr | None) -> object:
    # Newer releases wrap the default together with the option's help text.
    if isinstance(value, ast.Call):
        named = (keyword.value for keyword in value.keywords if keyword.arg == "default")
        value = next(named, value.args[0] if value.args else None)
    return value.value if isinstance(value, ast.Constant) else None
