"""Modules of SGLang's that a test file imports and that are not imported here: constants and placeholders."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from exhausters.errors import NotHereError


class Placeholder:
    """Stands for an object of SGLang's: it may be named, called and inherited from, not used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *args: Any, **keywords: Any) -> Placeholder:
        """Return a placeholder: a call at the top of a file, such as a registration, does nothing."""
        return Placeholder(f"{self._name}(…)")

    def __getattr__(self, name: str) -> Placeholder:
        if name.startswith("__"):
            raise AttributeError(name)
        return Placeholder(f"{self._name}.{name}")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()

    def __repr__(self) -> str:
        return self._name

    def _refuse(self, *_: Any) -> NoReturn:
        raise NotHereError(f"{self._name}: only the worker has it; a test may use it in its scripts alone")

    __bool__ = __len__ = __iter__ = __int__ = __float__ = __enter__ = __reduce_ex__ = _refuse


class StandIn(ModuleType):
    """A module that is not imported: its literal constants, read from its source, else placeholders."""

    def __init__(self, name: str, source_dir: Path) -> None:
        """`source_dir` is the folder that contains `sglang/`."""
        super().__init__(name)
        self.__path__: list[str] = []
        self._constants = literals(module_file(source_dir, name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self._constants:
            return self._constants[name]
        return Placeholder(f"{self.__name__}.{name}")


def module_file(source_dir: Path, module: str) -> Path:
    """Return where a module's source is, whether it is there or not."""
    path = source_dir.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def literals(file: Path) -> dict[str, Any]:
    """Return the literals that a file assigns to names at its top level; none where there is no such file."""
    try:
        tree = ast.parse(file.read_text())
    except (OSError, SyntaxError):
        return {}
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        try:
            constant = ast.literal_eval(value)
        except (ValueError, TypeError):
            continue
        found.update((target.id, constant) for target in targets if isinstance(target, ast.Name))
    return found
