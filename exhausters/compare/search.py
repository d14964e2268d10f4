"""Seeded mutations of a cell: what a directed search tries for lines that no run has reached."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from exhausters.errors import UsageError
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import Cell
from exhausters.workloads import BUILDERS, WorkloadSpec, parse_spec

# One of this many mutations changes an engine number, and so boots both builds again, about ten seconds.
_BOOT_EVERY = 4
# Larger workloads take longer than they are worth: a lines pass is four times a plain run.
_LARGEST = {"requests": 160, "burst_requests": 60, "bursts": 8, "conversations": 40, "turns": 10}
_LARGEST_TOKENS = 3_000
_FACTORS = (0.25, 0.5, 2, 4)
# Shares of the pool: from nearly nothing left to plenty.
_PAGE_SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
_ROWS, _REFS = (1, 2, 4, 8), (0, 1, 4)
_CHUNKS, _RUNNING = (64, 128, 1_024, -1), (2, 4, 8, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A cell near another one.

    Attributes:
        cell: the new cell.
        changes: what is other, e.g. `leave_rows=4`, in the words of a grid or a workload.
    """

    cell: Cell
    changes: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self.changes)


def mutate(cell: Cell, draw: Random, *, number: int) -> Mutation | None:
    """Return a cell that differs from another in one or two things; None where the draw gave no other cell.

    Args:
        cell: where to start.
        draw: where chance comes from; equal seeds give equal mutations.
        number: how many were made before; every fourth changes an engine number.
    """
    kinds: list[Callable[[Cell, Random], tuple[Cell, str]]] = [_workload, _levels]
    chosen: list[Callable[[Cell, Random], tuple[Cell, str]]] = (
        [_engine] if number % _BOOT_EVERY == _BOOT_EVERY - 1 else [draw.choice(kinds)]
    )
    if draw.random() < 0.5:
        chosen.append(draw.choice(kinds))
    found, changes = cell, []
    for kind in chosen:
        try:
            found, change = kind(found, draw)
        except UsageError:  # a draw that makes no sense for this workload
            continue
        changes.append(change)
    return None if found == cell else Mutation(cell=found, changes=tuple(dict.fromkeys(changes)))


def _workload(cell: Cell, draw: Random) -> tuple[Cell, str]:
    spec = parse_spec(cell.workload)
    if spec.name not in BUILDERS:
        return cell, "nothing"
    defaults = {name: one.default for name, one in inspect.signature(BUILDERS[spec.name]).parameters.items()}
    names = [*sorted(defaults), *(["priorities"] if cell.engine.priority_scheduling else [])]
    name = draw.choice(names)
    value = _other_value(name, spec.arguments.get(name, defaults.get(name)), draw)
    changed = WorkloadSpec(name=spec.name, arguments={**spec.arguments, name: value})
    return replace(cell, workload=changed.text), f"{name}={value}"


def _other_value(name: str, value: Any, draw: Random) -> Any:
    if name == "seed":
        return draw.randrange(1, 100)
    if name == "priorities":
        return draw.choice((2, 3, 5))
    if name.endswith("_seconds"):
        return draw.choice((0.0, float(value) * 4, float(value) / 4))
    largest = _LARGEST.get(name, _LARGEST_TOKENS)
    return max(1, min(largest, int(value * draw.choice(_FACTORS))))


def _levels(cell: Cell, draw: Random) -> tuple[Cell, str]:
    pages = cell.engine.max_total_tokens // cell.engine.page_size
    name = draw.choice(("leave_pages", "leave_pages", "leave_rows", "leave_refs", "held"))
    given = cell.levels.given()
    held = cell.levels.held
    if name == "held":
        held = not held
        shown = f"held={str(held).lower()}"
    else:
        shares = [max(1, int(pages * share)) for share in _PAGE_SHARES]
        value = draw.choice({"leave_pages": shares, "leave_rows": _ROWS, "leave_refs": _REFS}[name])
        given = {**given, name: value}
        shown = f"{name}={value}"
    levels = PressureLevels(**given, held=held) if given else PressureLevels()
    return replace(cell, levels=levels), shown


def _engine(cell: Cell, draw: Random) -> tuple[Cell, str]:
    if draw.random() < 0.5:
        chunk = draw.choice(_CHUNKS)
        return replace(
            cell, engine=replace(cell.engine, chunked_prefill_size=chunk)
        ), f"chunked_prefill_size={chunk}"
    rows = draw.choice(_RUNNING)
    return replace(
        cell, engine=replace(cell.engine, max_running_requests=rows)
    ), f"max_running_requests={rows}"
