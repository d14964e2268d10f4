"""What SGLang's source says without being imported; standard library only: the parent reads it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from exhausters.engine.sglang.environment import AMBIENT_PREFIXES

# The folder, below the one that contains `sglang/`, that holds all the scheduler executes.
WATCHED = "sglang/srt"

# What can read a variable: Python, and the compiled tree core.
_CODE = (".py", ".so")
# Where a scheduler decides, below the same folder: what changed there is shown before what changed elsewhere.
SCHEDULER_FOLDERS = ("sglang/srt/managers/", "sglang/srt/mem_cache/")

# What the scheduler asks of the model, and the null model of which it is true.
NULL_MODELS = {"is_hybrid_swa": "hybrid_swa"}

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


def unnamed_variables(names: Iterable[str], source_dirs: Iterable[str]) -> tuple[str, ...]:
    """Return those variables of SGLang's that no file of its package names: nothing can read them.

    Names that do not begin as SGLang's do may be read by any library, and are not looked for. SGLang renames
    `SGL_…` to `SGLANG_…` as it starts.
    """
    wanted = {name: _renamed(name) for name in names if name.startswith(AMBIENT_PREFIXES)}
    if not wanted:
        return ()
    files = (
        file
        for folder in source_dirs
        for ending in _CODE
        for file in (Path(folder) / "sglang").rglob(f"*{ending}")
    )
    for file in files:
        text = file.read_bytes()
        # As a whole word: each name is a part of longer ones.
        wanted = {
            name: spellings
            for name, spellings in wanted.items()
            if not any(re.search(rb"(?<![A-Za-z0-9_])%b(?![A-Za-z0-9_])" % one, text) for one in spellings)
        }
        if not wanted:
            break
    return tuple(wanted)


def _renamed(name: str) -> tuple[bytes, ...]:
    old, new = "SGL_", "SGLANG_"
    spellings = (name, new + name.removeprefix(old)) if name.startswith(old) else (name,)
    return tuple(one.encode() for one in spellings)


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
