"""Switches that could let a run reach a changed line: those that its guard, or the line itself, names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from exhausters.engine.load import ambient_prefixes
from exhausters.errors import GridError
from exhausters.reach.reached import Reach, UnreachedLines
from exhausters.reach.source_text import read_source
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.free_axes import ENV, NAMED_KEYWORDS, SERVER_ARGS, Pairs
from exhausters.workloads import parse_spec

# How large the engine's pools are: not a matter of a switch.
_SIZES = ("page_size", "chunked_prefill_size", "max_total_tokens", "max_running_requests")
# Axes of a grid that mean the opposite of the keyword.
_NEGATED = ("overlap", "radix_cache")
_ENABLE, _DISABLE = "enable_", "disable_"
# Variables whose first words, so many, are the same are about one thing: weights of one formula, say.
_FAMILY_WORDS = 4
# Arguments of any workload without which a switch does nothing.
_OF_REQUESTS = ("priorities", "adapters", "transfer_steps")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One setting of one axis that might lead to lines that no run has reached.

    Attributes:
        axis: as a grid has it: `server_args.NAME`, `env.NAME`, or an axis of its own.
        value: what it is set to.
        unreached: the lines it was found at.
    """

    axis: str
    value: Any
    unreached: UnreachedLines

    def __str__(self) -> str:
        shown = str(self.value).lower() if isinstance(self.value, bool) else self.value
        return f"{self.axis}={shown}"

    @property
    def family(self) -> str:
        """The words by which a variable begins that others of the same thing have, too; empty for others."""
        table, _, name = self.axis.partition(".")
        words = name.split("_")
        return "_".join(words[:_FAMILY_WORDS]) if table == ENV and len(words) > _FAMILY_WORDS else ""

    def beside(self, cells: Iterable[Cell], *, near: Cell) -> Cell | None:
        """Return the cell `near` with this keyword and what a cell that has it sets beside it.

        A keyword alone may be refused, or do nothing: what a pool of cells sets with it is what it needs.
        Sizes, pressure, workload and own switches stay those of `near`, which came closest to the lines; its
        workload gets priorities, adapters and transfers where the other has them. None for axes that are no
        keywords of `ServerArgs`, and if no cell has the setting.
        """
        if not self.axis.startswith(f"{SERVER_ARGS}."):
            return None
        other = next((cell for cell in cells if self._is_set(cell)), None)
        if other is None:
            return None
        ours, theirs = near.engine, other.engine
        engine = replace(
            theirs,
            **{name: getattr(ours, name) for name in _SIZES},
            server_args=_merged(ours.server_args, theirs.server_args),
            env=ours.env,
        )
        workload = parse_spec(near.workload)
        given = parse_spec(other.workload).arguments
        brought = {name: given[name] for name in _OF_REQUESTS if name in given}
        workload = replace(workload, arguments={**workload.arguments, **brought})
        return replace(near, workload=workload.text, engine=engine)

    def _is_set(self, cell: Cell) -> bool:
        return (self.axis.removeprefix(f"{SERVER_ARGS}."), self.value) in cell.engine.server_args

    def applied_to(self, cell: Cell) -> Cell | None:
        """Return the cell with this setting; None where a grid cannot set it, or the cell has it already."""
        table, _, name = self.axis.partition(".")
        try:
            if table in (SERVER_ARGS, ENV) and name:
                kept = [pair for pair in getattr(cell.engine, table) if pair[0] != name]
                changed: dict[str, Any] = {table: (*kept, (name, self.value))}
            else:
                changed = {self.axis: self.value}
            engine: EngineSettings = replace(cell.engine, **changed)
        except GridError:
            return None
        return None if engine == cell.engine else replace(cell, engine=engine)


def _merged(ours: Pairs, theirs: Pairs) -> Pairs:
    """Both, where one name has two values the second one's."""
    return tuple({**dict(ours), **dict(theirs)}.items())


def find_switches(
    reach: Reach,
    *,
    base: Path,
    head: Path,
    defaults: Mapping[str, object],
    models: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Switch, ...]:
    """Return switches for the unreached lines, those that guards name first, each once.

    Args:
        reach: what was not reached.
        base, head: the source folders.
        defaults: the switches that head can be booted with, each with its default.
        models: null models by what the scheduler asks of a model.
    """
    lines = [one for one in reach.unreached if one.is_imported]
    found: dict[tuple[str, str], Switch] = {}
    named = [(one, setting) for one in lines for setting in _settings_in_guard(one.guard)]
    named += [
        (one, (word, True)) for one in lines for word in _words(head if one.side == "head" else base, one)
    ]
    for one, (name, wanted) in named:
        is_model = name in models and wanted is True
        setting = ("model", models[name]) if is_model else _axis_value(name, wanted, defaults)
        if setting is not None:
            found.setdefault(
                (setting[0], str(setting[1])), Switch(axis=setting[0], value=setting[1], unreached=one)
            )
    return tuple(found.values())


def _axis_value(name: str, wanted: Any, defaults: Mapping[str, object]) -> tuple[str, Any] | None:
    if name.startswith(ambient_prefixes()):
        return f"{ENV}.{name}", str(int(wanted)) if isinstance(wanted, bool) else str(wanted)
    name, wanted = _keyword(name, wanted, defaults)
    if name not in defaults or wanted is None:
        return None
    default = defaults[name]
    if isinstance(wanted, bool) and not isinstance(default, bool):
        # "If it is set": of text there is no telling to what.
        if isinstance(default, str) or not wanted:
            return None
        wanted = 1
    if wanted == default:
        return None
    axis = NAMED_KEYWORDS.get(name)
    if axis is None:
        return f"{SERVER_ARGS}.{name}", wanted
    return axis, (not wanted) if axis in _NEGATED else wanted


def _keyword(name: str, wanted: Any, defaults: Mapping[str, object]) -> tuple[str, Any]:
    """What the scheduler keeps as `enable_overlap` is the opposite of a keyword `disable_overlap…`."""
    if name in defaults or not isinstance(wanted, bool) or not name.startswith(_ENABLE):
        return name, wanted
    stem = _DISABLE + name.removeprefix(_ENABLE)
    found = [one for one in defaults if one == stem or one.startswith(f"{stem}_")]
    return (found[0], not wanted) if len(found) == 1 else (name, wanted)


def _settings_in_guard(guard: str) -> list[tuple[str, Any]]:
    try:
        return list(_wanted(ast.parse(guard, mode="eval").body, truth=True)) if guard else []
    except SyntaxError:  # a loop
        return []


def _wanted(condition: ast.expr, *, truth: bool) -> Iterator[tuple[str, Any]]:
    """Names in a condition, each with a value that brings the condition nearer to `truth`."""
    if isinstance(condition, ast.BoolOp):
        for part in condition.values:
            yield from _wanted(part, truth=truth)
    elif isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not):
        yield from _wanted(condition.operand, truth=not truth)
    elif isinstance(condition, ast.Compare) and len(condition.ops) == 1:
        name = _name(condition.left)
        try:
            value = ast.literal_eval(condition.comparators[0])
        except ValueError:
            return
        if name:
            yield from ((name, one) for one in _values(condition.ops[0], value, truth=truth))
    else:
        name = _name(condition)
        if name:
            yield name, truth


def _values(operator: ast.cmpop, value: Any, *, truth: bool) -> list[Any]:
    negative = isinstance(operator, ast.NotEq | ast.IsNot | ast.NotIn)
    if isinstance(operator, ast.Eq | ast.Is | ast.In | ast.NotEq | ast.IsNot | ast.NotIn):
        if truth != negative:
            if isinstance(value, set):  # whose order is another in each process
                value = sorted(value, key=str)
            return list(value)[:1] if isinstance(value, tuple | list) else [value]
        return [True] if value is None else [not value] if isinstance(value, bool) else []
    if isinstance(value, bool) or not isinstance(value, int):
        return []
    upwards = isinstance(operator, ast.Gt | ast.GtE) == truth
    return [value + 1 if upwards else value - 1]


def _name(expression: ast.expr) -> str:
    """The setting that an expression reads: `a.b.NAME`, `envs.NAME.get()`, `getenv("NAME")`."""
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute):
        return expression.attr
    if isinstance(expression, ast.Call):
        texts = [
            one.value
            for one in expression.args
            if isinstance(one, ast.Constant) and isinstance(one.value, str)
        ]
        if texts:
            return texts[0]
        if isinstance(expression.func, ast.Attribute):
            return _name(expression.func.value)
    return ""


def _words(folder: Path, lines: UnreachedLines) -> list[str]:
    """Every word of the lines, once, in their order."""
    text = read_source(folder / lines.file).splitlines()
    block = "\n".join(text[lines.first_line - 1 : lines.last_line])
    return list(dict.fromkeys(_WORD.findall(block)))
