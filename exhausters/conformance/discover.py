"""Find scripted tests of a checkout by the syntax trees of its files: nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exhausters.errors import UsageError

_MENTIONED = "sglang.test.scripted_runtime"
_BASE = "ScriptedTestCase"
_TESTS = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestFile:
    """A file of tests.

    Attributes:
        path: where it is.
        name: the same, from the checkout on.
        tests: its tests, as (class, method), in the order in which they stand there.
        boots_engine: whether one of its classes is a scripted test case.
    """

    __test__ = False  # pytest: no test of ours

    path: Path
    name: str
    tests: tuple[tuple[str, str], ...]
    boots_engine: bool


def source_dir(checkout: Path) -> Path:
    """Return the folder of a checkout that contains `sglang/`."""
    return checkout / "python"


def discover(checkout: Path) -> list[TestFile]:
    """Return every file below `test/` that uses SGLang's scripted runtime and has tests, by name.

    Raises:
        UsageError: the folder has no such files.
    """
    folder = checkout / _TESTS
    found = [file for path in sorted(folder.rglob("*.py")) if (file := read_file(path, checkout)) is not None]
    if not found:
        raise UsageError(
            f"{checkout}: expected a checkout of SGLang with scripted tests, none below {folder} "
            f"imports {_MENTIONED}; SGLang has them from June 2026 on"
        )
    return found


def read_file(path: Path, checkout: Path) -> TestFile | None:
    """Return the tests of one file; None when it has none, or does not use the scripted runtime."""
    text = path.read_text(errors="replace")
    if _MENTIONED not in text:
        return None
    try:
        classes = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    except SyntaxError as error:
        raise UsageError(f"{path}: not Python that this interpreter reads: {error}") from error
    tests = tuple((name, test) for name, node in classes.items() for test in _tests(node, classes))
    if not tests:
        return None
    return TestFile(
        path=path,
        name=str(path.relative_to(checkout)),
        tests=tests,
        boots_engine=any(_is_scripted(node, classes) for node in classes.values()),
    )


def _tests(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> list[str]:
    """Names of the tests that a class has, or inherits from another of the file."""
    # Without a base it is no test case.
    if not node.bases:
        return []
    own = [
        one.name
        for one in node.body
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test")
    ]
    inherited = [test for base in _known_bases(node, classes) for test in _tests(base, classes)]
    return list(dict.fromkeys([*inherited, *own]))


def _is_scripted(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> bool:
    named = {_last_name(base) for base in node.bases}
    return _BASE in named or any(_is_scripted(base, classes) for base in _known_bases(node, classes))


def _known_bases(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> Iterator[ast.ClassDef]:
    for base in node.bases:
        known = classes.get(_last_name(base))
        if known is not None and known is not node:
            yield known


def _last_name(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]
