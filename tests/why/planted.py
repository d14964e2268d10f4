"""Plants code into methods of a class, in place, as a change of its source would."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from typing import Any


def plant(owner: type, name: str, lines: str) -> Callable[[], None]:
    """Put `lines` before the first statement of a method; returns what takes them out again.

    File and qualified name stay those of the method, so that profiles take it for the same function.
    """
    original = getattr(owner, name)
    source = textwrap.dedent(inspect.getsource(original)).splitlines()
    body = _first_statement(source)
    planted = [*source[:body], *textwrap.indent(textwrap.dedent(lines), "    ").splitlines(), *source[body:]]
    text = f"class {owner.__name__}:\n" + textwrap.indent("\n".join(planted), "    ")
    found: dict[str, Any] = {}
    code = compile(
        f"from __future__ import annotations\n{text}", inspect.unwrap(original).__code__.co_filename, "exec"
    )
    exec(code, vars(sys.modules[owner.__module__]) | {}, found)
    setattr(owner, name, vars(found[owner.__name__])[name])
    return lambda: setattr(owner, name, original)


def _first_statement(source: list[str]) -> int:
    """Position of the line after the docstring, or of the line after the signature."""
    import ast

    (function,) = ast.parse("\n".join(source)).body
    assert isinstance(function, ast.FunctionDef)
    first, *others = function.body
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (others[0] if is_docstring and others else first).lineno - 1
