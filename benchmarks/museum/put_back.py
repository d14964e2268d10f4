"""Changes the methods of the booted engine while a script runs: a bug is put back, and taken out again.

Imported inside the worker: standard library only.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import ModuleType
from typing import Any

from exhausters.errors import UsageError

_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Code that is run in the namespace of one module, as if it stood at the end of its file.

    Attributes:
        file: path of the module below the source folder.
        code: statements that replace functions and methods by others.
    """

    file: str
    code: str

    @property
    def module(self) -> str:
        """The module's dotted name."""
        return ".".join(PurePosixPath(self.file).with_suffix("").parts)


@contextmanager
def put_back(patches: Sequence[Patch]) -> Iterator[None]:
    """Run the code of all patches; when the block ends, everything that it replaced is as before.

    Raises:
        UsageError: this build has no such module, or the code fails in it.
    """
    with ExitStack() as undoing:
        for patch in patches:
            try:
                module = importlib.import_module(patch.module)
            except ImportError as error:
                raise UsageError(f"{patch.file}: not in this build; the bug was put into another") from error
            before = [(owner, dict(vars(owner))) for owner in _owners(module)]
            try:
                exec(compile(patch.code, f"<put back into {patch.file}>", "exec"), vars(module))
            except Exception as error:
                raise UsageError(f"{patch.file}: the code cannot be put back: {error!r}") from error
            finally:
                for owner, names in before:
                    undoing.callback(_restore, owner, _changed(owner, names))
        yield


def _owners(module: ModuleType) -> list[Any]:
    """The module, and every class that it knows by name."""
    return [module, *{id(one): one for one in vars(module).values() if isinstance(one, type)}.values()]


def _changed(owner: Any, before: dict[str, Any]) -> dict[str, Any]:
    """What names were bound to before the code bound them otherwise."""
    now = dict(vars(owner))
    names = {name for name in (*before, *now) if before.get(name, _ABSENT) is not now.get(name, _ABSENT)}
    return {name: before.get(name, _ABSENT) for name in names - {"__builtins__"}}


def _restore(owner: Any, names: dict[str, Any]) -> None:
    for name, value in names.items():
        if value is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, value)
