"""Free axes of a grid: any keyword of SGLang's `ServerArgs`, any environment variable of the worker.

    server_args.max_prefill_tokens = [512, 1024]
    env.SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION = ["512"]

Whether an SGLang has such a switch and takes the value is for that SGLang to say, in the worker. Refused here
is only what another axis sets, what the harness sets, and values that cannot be passed on.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from exhausters.engine.load import reserved
from exhausters.errors import GridError
from exhausters.worker.environment import RESERVED_VARIABLES

SERVER_ARGS, ENV = "server_args", "env"
#: Tables of free axes, each also a field of `EngineSettings`.
FREE_TABLES = (SERVER_ARGS, ENV)

FreeValue = str | int | float | bool | tuple[Any, ...]
Pairs = tuple[tuple[str, FreeValue], ...]

#: Keywords of `ServerArgs` that an axis of another name sets, with that axis.
NAMED_KEYWORDS: Mapping[str, str] = {
    keyword.removeprefix("!"): axis for axis, keyword in reserved().NAMED.items()
}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_free_axis(axis: str) -> bool:
    """Tell whether this is the name of a free axis, e.g. `server_args.max_prefill_tokens`."""
    table, dot, name = axis.partition(".")
    return table in FREE_TABLES and bool(dot and name)


def flat_axes(axes: Mapping[str, Any]) -> dict[str, Any]:
    """Return [axes] with each free axis under its own name: TOML reads a dotted key as a table in a table.

    Raises:
        GridError: `server_args` or `env` that is no table.
    """
    flat: dict[str, Any] = {}
    for axis, values in axes.items():
        if axis not in FREE_TABLES:
            flat[axis] = values
        elif isinstance(values, Mapping):
            flat |= {f"{axis}.{name}": value for name, value in values.items()}
        else:
            raise GridError(f"{axis} = {values!r}: expected {axis}.NAME = [...], one line for each switch")
    return flat


def require_distinct(axis: str, values: Iterable[object]) -> None:
    """Refuse values of one axis that Python takes for equal and SGLang may not: 1 and true.

    Raises:
        GridError: names two of them.
    """
    seen: dict[FreeValue, FreeValue] = {}
    for value in (_frozen(one, where=axis) for one in values):
        other = seen.setdefault(value, value)
        if text_of(other) != text_of(value):
            raise GridError(f"{axis}: {other!r} and {value!r} are equal in Python (1 == true); keep one")


def checked_pairs(table: str, pairs: object) -> Pairs:
    """Return free settings as pairs in the order of their names.

    Args:
        table: `server_args` or `env`.
        pairs: pairs of a name and a value, or a mapping.

    Raises:
        GridError: a name that an axis or the harness has, or a value that cannot be passed on.
    """
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    if not isinstance(items, Iterable) or isinstance(items, str):
        raise GridError(f"{table}={pairs!r}: expected pairs of a name and a value")
    checked: dict[str, FreeValue] = {}
    for item in items:
        if not isinstance(item, tuple) or len(item) != 2 or not isinstance(item[0], str):
            raise GridError(f"{table}={pairs!r}: expected pairs of a name and a value")
        name, value = item
        if name in checked:
            raise GridError(f"{table}.{name}: is given twice; drop one")
        checked[name] = (
            _checked_keyword(name, value) if table == SERVER_ARGS else _checked_variable(name, value)
        )
    return tuple(sorted(checked.items()))


def _checked_keyword(name: str, value: object) -> FreeValue:
    where = f"{SERVER_ARGS}.{name}"
    if not name.isidentifier():
        raise GridError(f"{where}: is not a ServerArgs keyword; expected a name like max_prefill_tokens")
    if name in NAMED_KEYWORDS:
        raise GridError(f"{where}: use the axis {NAMED_KEYWORDS[name]!r} instead")
    engine = reserved()
    if name in engine.FORCED:
        raise GridError(
            f"{where}: the harness sets it to {engine.FORCED[name]!r}, to run on a CPU; leave it out"
        )
    if name in engine.SINGLE_RANK:
        raise GridError(f"{where}: there are no such ranks here; leave it out")
    if engine.is_meaningless(name):
        instead = "use the axis 'model' instead" if name == "model_path" else "leave it out"
        raise GridError(f"{where}: has no meaning on a CPU without a model; {instead}")
    return _frozen(value, where=where)


def _checked_variable(name: str, value: object) -> FreeValue:
    where = f"{ENV}.{name}"
    if not _VARIABLE.fullmatch(name):
        raise GridError(f"{where}: is not a valid name of an environment variable")
    engine = reserved()
    if name == engine.TREE_CORE:
        raise GridError(f"{where}: use the axis 'tree_core' instead")
    taken = RESERVED_VARIABLES | engine.RESERVED_VARIABLES
    if name in taken:
        raise GridError(
            f"{where}: the harness sets it itself, as it does {', '.join(sorted(taken))}; leave it out"
        )
    if not isinstance(value, str) or "\0" in value:
        raise GridError(f'{where}={value!r}: expected text, e.g. "{value}": variables have no other type')
    return value


def _frozen(value: object, *, where: str) -> FreeValue:
    """The value as something hashable; lists become tuples."""
    if isinstance(value, list | tuple):
        return tuple(_frozen(one, where=where) for one in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise GridError(f"{where}={value!r}: expected a finite number")
    if not isinstance(value, str | int | float | bool):
        raise GridError(f"{where}={value!r}: expected text, a number, true, false, or a list of these")
    return value


def label_of(axis: str, value: FreeValue) -> str:
    """One free setting as ids of cells have it: `server_args.max_prefill_tokens=512`."""
    # A variable is text whatever it looks like, and needs no quotes to say so.
    return f"{axis}={_quoted(str(value)) if axis.startswith(f'{ENV}.') else text_of(value)}"


def text_of(value: FreeValue) -> str:
    """The value in one word; values that differ, in type or otherwise, have different texts."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, str) and not _reads_as_json(value):
        text = value
    return _quoted(text)


def _quoted(text: str) -> str:
    # Only what divides an id, and what divides lines, is written in another way.
    return quote(text, safe=" !\"#$&'()*+:;<>?@[]^`{|}~")


def _reads_as_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
