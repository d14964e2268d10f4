"""Whether both builds know the settings of a cell, as far as their sources say without a boot."""

from __future__ import annotations

from functools import cache

from exhausters.compare.sources import Sources
from exhausters.engine.load import source_tree
from exhausters.sweep.cell import Cell


class KnownSettings:
    """Answers for cells; the sources are read once.

    A cell with a setting that one build lacks is `unsupported` there, and would leave a comparison undecided.
    """

    def __init__(self, sources: Sources) -> None:
        tree = source_tree(sources.engine)
        self._switches = [frozenset(tree.switches(folder)) for folder in (sources.base, sources.head)]
        self._texts = [
            b"\n".join(path.read_bytes() for path in sorted((folder / sources.watched).rglob("*.py")))
            for folder in (sources.base, sources.head)
        ]
        self._is_named = cache(lambda word: all(word.encode() in text for text in self._texts))

    def has(self, cell: Cell) -> bool:
        """Tell whether both builds have each switch of the cell, and name its policies and variables."""
        engine = cell.engine
        values = [value for _, value in engine.server_args if isinstance(value, str)]
        return (
            all(name in known for name, _ in engine.server_args for known in self._switches)
            and all(self._is_named(name) for name, _ in engine.env)
            and all(self._is_named(f'"{word}"') for word in (engine.policy, *values))
        )
