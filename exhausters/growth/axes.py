"""The scaling grid: three sizes, of which each axis sweeps one and holds the other two still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exhausters.errors import UsageError
from exhausters.sweep.cell import TREE_CORES, EngineSettings

CONTEXT, QUEUE, TREE = "context", "queue", "tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One size that is swept.

    Attributes:
        name: `context`, `queue` or `tree`.
        unit: what its size counts, in the plural.
        sizes: the sizes, ascending; the largest makes a set-up of about a second.
        meaning: what a step does while it is measured.
    """

    name: str
    unit: str
    sizes: tuple[int, ...]
    meaning: str


AXES = (
    Axis(
        name=CONTEXT,
        unit="tokens",
        sizes=(256, 1_024, 4_096, 16_384),
        meaning="four requests of this many prompt tokens decode; nothing waits",
    ),
    Axis(
        name=QUEUE,
        unit="waiting requests",
        sizes=(16, 64, 256, 1_024),
        meaning="this many requests of 64 tokens wait; two are admitted, and two more arrive, at a time",
    ),
    Axis(
        name=TREE,
        unit="cached nodes",
        sizes=(64, 256, 1_024),
        meaning="this many prompts of 32 tokens are cached; each new one evicts one",
    ),
)
AXIS_NAMES = tuple(axis.name for axis in AXES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One size of one axis.

    Attributes:
        axis: name of the axis.
        size: its size.
    """

    axis: str
    size: int

    def __str__(self) -> str:
        return f"{self.axis}={self.size}"


def chosen_axes(names: Sequence[str]) -> tuple[Axis, ...]:
    """Return the axes of these names, all of them when there is none; raises UsageError for another."""
    for name in names:
        if name not in AXIS_NAMES:
            raise UsageError(f"--axis {name!r}: expected one of {', '.join(AXIS_NAMES)}")
    return tuple(axis for axis in AXES if not names or axis.name in names)


def points_of(axes: Sequence[Axis]) -> tuple[Point, ...]:
    """Return every size of every axis."""
    return tuple(Point(axis=axis.name, size=size) for axis in axes for size in axis.sizes)


def engine_settings(tree_core: str = "default") -> EngineSettings:
    """Return the settings of all points: one boot serves the whole grid.

    The pool holds the longest contexts, or the largest tree; the longest prompt is one chunk, so that it is
    cached as one node.

    Raises:
        UsageError: there is no such tree core.
    """
    if tree_core not in TREE_CORES:
        raise UsageError(f"--tree-core {tree_core!r}: expected one of {', '.join(TREE_CORES)}")
    return EngineSettings(chunked_prefill_size=16_384, max_total_tokens=98_304, tree_core=tree_core)
