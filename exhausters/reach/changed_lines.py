"""Which executable lines of SGLang differ between two source trees."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import CodeType

from exhausters.reach.moved_files import moved_files


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One Python file that differs.

    Attributes:
        file: path below the source folder, e.g. `sglang/srt/managers/schedule_policy.py`.
        base_lines: executable lines of the base that are gone or were rewritten, by number there.
        head_lines: executable lines of the head that are new or rewritten, by number there.
        import_lines: lines of the head that are new or rewritten and that its import executes: constants,
            class attributes, defaults of arguments. Whether a run uses them is not known.
        is_only_in_base, is_only_in_head: whether the other side has no such file.
    """

    file: str
    base_lines: frozenset[int]
    head_lines: frozenset[int]
    import_lines: frozenset[int] = frozenset()
    is_only_in_base: bool = False
    is_only_in_head: bool = False


def differing_files(base: Path, head: Path, *, below: str) -> frozenset[str]:
    """Return every Python file that is not the same, byte for byte, in both source folders."""
    files = set(_python_files(base, below)) | set(_python_files(head, below))
    return frozenset(file for file in files if _bytes(base / file) != _bytes(head / file))


def _bytes(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def changed_files(
    base: Path, head: Path, *, below: str = "sglang", among: Container[str] | None = None
) -> tuple[FileChange, ...]:
    """Return every Python file with a changed executable line, in the order of their paths.

    Comments, blank lines and docstrings do not execute, so a file in which only those differ is left out. A
    file that was moved is compared with what it was: what is gone is told of the one, and what is new of the
    other.

    Args:
        base, head: source folders, each of which contains `sglang/`.
        below: the folder in them that is compared.
        among: the files that are compared; None for all.
    """
    ours, theirs = (set(_python_files(folder, below)) for folder in (base, head))
    files = sorted(file for file in ours | theirs if among is None or file in among)
    before = {file: (base / file).read_bytes() if file in ours else b"" for file in files}
    after = {file: (head / file).read_bytes() if file in theirs else b"" for file in files}
    moved = moved_files(
        {file: _text(before[file]) for file in files if file not in theirs},
        {file: _text(after[file]) for file in files if file not in ours},
    )
    changes = [
        replace(
            compare_files(file, _text(before[file]), _text(after[file])),
            is_only_in_base=file not in theirs,
            is_only_in_head=file not in ours,
        )
        for file in files
        if before[file] != after[file] and file not in {*moved, *moved.values()}
    ]
    for old, new in moved.items():
        changes += _compare_moved(old, _text(before[old]), new, _text(after[new]))
    found = (one for one in changes if one.base_lines or one.head_lines or one.import_lines)
    return tuple(sorted(found, key=lambda one: one.file))


def _compare_moved(old: str, before: str, new: str, after: str) -> tuple[FileChange, FileChange]:
    """What is gone from the one and new in the other."""
    change = compare_files(new, before, after)
    return (
        replace(change, file=old, head_lines=frozenset(), import_lines=frozenset(), is_only_in_base=True),
        replace(change, base_lines=frozenset(), is_only_in_head=True),
    )


def compare_files(file: str, base: str, head: str) -> FileChange:
    """Return what differs between two versions of a file, by line numbers in each."""
    ours, theirs = base.splitlines(), head.splitlines()
    gone: set[int] = set()
    new: set[int] = set()
    # With its shortcut for frequent lines: without it, two releases take minutes. It may call a frequent line
    # changed although an equal one is near.
    matcher = difflib.SequenceMatcher(None, ours, theirs)
    for tag, base_first, base_end, head_first, head_end in matcher.get_opcodes():
        if tag != "equal":
            gone.update(range(base_first + 1, base_end + 1))
            new.update(range(head_first + 1, head_end + 1))
    return FileChange(
        file=file,
        base_lines=_executable_among(base, gone),
        head_lines=_executable_among(head, new),
        import_lines=(frozenset(new) & import_lines(head) if new else frozenset())
        | _new_defaults(base, head),
    )


def executable_lines(text: str) -> frozenset[int]:
    """Return the lines on which functions of a file can execute something; none when it is no Python.

    What an import executes is left out (see `import_lines`): it runs in every worker, and reaching it says
    nothing.
    """
    parsed = _parsed(text)
    if parsed is None:
        return frozenset()
    lines: set[int] = set()
    for code in _functions(parsed.code):
        lines.update(line for _, _, line in code.co_lines() if line and line != code.co_firstlineno)
    return frozenset(lines - _docstring_lines(parsed))


def import_lines(text: str) -> frozenset[int]:
    """Return the lines of constants and class attributes, which the import of the file executes.

    Imports and the first lines of definitions are left out: what they bring is executed elsewhere.
    """
    parsed = _parsed(text)
    if parsed is None:
        return frozenset()
    lines: set[int] = set()
    bodies = [parsed.body]
    while bodies:
        for node in bodies.pop():
            if isinstance(node, ast.ClassDef):
                bodies.append(node.body)
            elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Import | ast.ImportFrom):
                lines.update(_span(node))
    return frozenset(lines - _docstring_lines(parsed))


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A file that is Python: its top statements, all of its statements, and what they compile to."""

    body: list[ast.stmt]
    statements: tuple[ast.stmt, ...]
    code: CodeType


# Two releases differ in some 370 files: each side of each is asked three times in a row, and parsed once.
@lru_cache(maxsize=2)
def _parsed(text: str) -> _Parsed | None:
    try:
        tree = ast.parse(text)
        code = compile(tree, "<source>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    return _Parsed(tree.body, tuple(_statements(tree.body)), code)


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Every statement, those inside others included; expressions, nine of ten nodes, are not walked."""
    for node in body:
        yield node
        for name in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(node, name, ()))
        for branch in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            yield from _statements(branch.body)


def _span(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _executable_among(text: str, lines: set[int]) -> frozenset[int]:
    """The first lines of the statements that have one of these lines: a tracer reports only those."""
    parsed = _parsed(text) if lines else None
    if parsed is None:
        return frozenset()
    executable = executable_lines(text)
    return frozenset(lines & executable) | _statement_starts(parsed, lines - executable, executable)


def _statement_starts(parsed: _Parsed, lines: set[int], executable: frozenset[int]) -> frozenset[int]:
    """For changed lines inside a statement of several lines, or inside its condition, where it begins."""
    return frozenset(
        part.start
        for node in parsed.statements
        for part in _headers(node)
        if part.start in executable and part.start not in lines and not lines.isdisjoint(part)
    )


def _headers(node: ast.stmt) -> Iterator[range]:
    """The lines of a statement that are not those of the statements in it."""
    body = getattr(node, "body", None)
    yield _span(node) if body is None else range(node.lineno, max(body[0].lineno, node.lineno + 1))
    for handler in getattr(node, "handlers", ()):
        yield range(handler.lineno, max(handler.body[0].lineno, handler.lineno + 1))


def _new_defaults(base: str, head: str) -> frozenset[int]:
    """Where functions of head begin whose defaults or decorators, which an import executes, are others."""
    before, after = _signatures(base), _signatures(head)
    return frozenset(
        line for name, (line, said) in after.items() if name in before and before[name][1] != said
    )


def _signatures(text: str) -> dict[str, tuple[int, str]]:
    parsed = _parsed(text)
    found: dict[str, tuple[int, str]] = {}
    bodies = [("", parsed.body if parsed else [])]
    while bodies:
        prefix, body = bodies.pop()
        for node in body:
            if isinstance(node, ast.ClassDef):
                bodies.append((f"{prefix}{node.name}.", node.body))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                parts = [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
                found[prefix + node.name] = node.lineno, " ".join(map(ast.dump, parts))
    return found


def _functions(code: CodeType) -> Iterator[CodeType]:
    """All functions of a module, methods and nested ones included; not the bodies of classes."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            # CPython marks functions by CO_OPTIMIZED; the body of a class is executed by the import.
            if constant.co_flags & 0x1:
                yield constant
            yield from _functions(constant)


def _docstring_lines(parsed: _Parsed) -> set[int]:
    lines: set[int] = set()
    for node in parsed.statements:
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            lines.update(_span(node))
    return lines


def _python_files(folder: Path, below: str) -> Iterator[str]:
    for path in (folder / below).rglob("*.py"):
        yield path.relative_to(folder).as_posix()


def _text(source: bytes) -> str:
    return source.decode("utf-8-sig", errors="replace")
