"""One point of a grid: workload, pressure levels, engine settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from exhausters.engine.acceptance import ALL, parse_acceptance
from exhausters.engine.load import reserved
from exhausters.engine.settings import MODELS
from exhausters.errors import GridError, UsageError
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.free_axes import FREE_TABLES, FreeValue, Pairs, checked_pairs, is_free_axis, label_of

TREE_CORES = ("default", "python", "rust")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What a scheduler is booted with; cells that share it can share one booted worker.

    Attributes:
        page_size: tokens per KV page.
        policy: SGLang's scheduling policy, by SGLang's name.
        chunked_prefill_size: prefill tokens a batch may compute; -1 turns chunking off.
        mixed_chunk: let decoding requests ride in prefill batches.
        overlap: SGLang's overlap event loop (True) or its normal one.
        tree_core: `default`, `python` or `rust`.
        radix_cache: keep finished prefixes in the tree cache.
        priority_scheduling: order by request priority.
        max_total_tokens: KV pool, in tokens.
        max_running_requests: request rows.
        model: name of the null model.
        speculative_accept: which drafts of a speculative worker are right, e.g. `constant:3` (see
            docs/speculative.md); empty where nothing drafts, or for the default.
        server_args: further keywords of SGLang's `ServerArgs`, as pairs in order of their names.
        env: environment variables of the worker, likewise.

    Raises:
        GridError: a value of the wrong type or out of range.
    """

    page_size: int = 16
    policy: str = "fcfs"
    chunked_prefill_size: int = 256
    mixed_chunk: bool = False
    overlap: bool = True
    tree_core: str = "default"
    radix_cache: bool = True
    priority_scheduling: bool = False
    max_total_tokens: int = 4_096
    max_running_requests: int = 64
    model: str = "dense"
    speculative_accept: str = ""
    server_args: Pairs = ()
    env: Pairs = ()

    def __post_init__(self) -> None:
        for name in ("page_size", "max_total_tokens", "max_running_requests"):
            _require_integer(name, getattr(self, name), minimum=1)
        _require_integer("chunked_prefill_size", self.chunked_prefill_size, minimum=-1)
        for name in ("mixed_chunk", "overlap", "radix_cache", "priority_scheduling"):
            if not isinstance(getattr(self, name), bool):
                raise GridError(f"{name}={getattr(self, name)!r}: expected true or false")
        if not isinstance(self.policy, str) or not self.policy:
            raise GridError(f"policy={self.policy!r}: expected a policy of SGLang, e.g. fcfs or lpm")
        if self.tree_core not in TREE_CORES:
            raise GridError(f"tree_core={self.tree_core!r}: expected one of {', '.join(TREE_CORES)}")
        if self.model not in tuple(MODELS):
            raise GridError(f"model={self.model!r}: expected one of {', '.join(MODELS)}")
        if not isinstance(self.speculative_accept, str):
            raise GridError(f"speculative_accept={self.speculative_accept!r}: expected text, e.g. constant:3")
        try:
            parse_acceptance(self.speculative_accept or ALL)
        except UsageError as error:
            raise GridError(str(error)) from error
        for table in FREE_TABLES:
            object.__setattr__(self, table, checked_pairs(table, getattr(self, table)))

    def engine_keywords(self) -> dict[str, Any]:
        """Return the keywords of SGLang's `ServerArgs` that say the same, without the free ones."""
        return {
            keyword.removeprefix("!"): (
                not getattr(self, name) if keyword.startswith("!") else getattr(self, name)
            )
            for name, keyword in reserved().NAMED.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return every setting by the name of its axis; free ones, and a script, only where given."""
        named = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in FREE_TABLES}
        if not self.speculative_accept:
            del named["speculative_accept"]
        return {**named, **self.free_axes()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EngineSettings:
        """Return the settings that `to_json` wrote; raises GridError for values that make no sense."""
        named: dict[str, Any] = {name: value for name, value in values.items() if not is_free_axis(name)}
        for table in FREE_TABLES:
            prefix = f"{table}."
            named[table] = tuple(
                (axis.removeprefix(prefix), _frozen(value))
                for axis, value in values.items()
                if axis.startswith(prefix)
            )
        return cls(**named)

    def free_axes(self) -> dict[str, FreeValue]:
        """Return the free settings by the name of their axis: `server_args.NAME`, `env.NAME`."""
        return {f"{table}.{name}": value for table in FREE_TABLES for name, value in getattr(self, table)}

    @property
    def label(self) -> str:
        """The settings in one word, those at their defaults left out except page size."""
        parts = [f"p{self.page_size}"]
        defaults = EngineSettings()
        for name in (one.name for one in fields(self) if one.name not in ("page_size", *FREE_TABLES)):
            value = getattr(self, name)
            if value != getattr(defaults, name):
                parts.append(f"{name}={str(value).lower() if isinstance(value, bool) else value}")
        parts += [label_of(axis, value) for axis, value in self.free_axes().items()]
        return ",".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One point of a grid.

    Attributes:
        workload: canonical text of a workload (see docs/workloads.md).
        levels: the pressure.
        engine: what the scheduler is booted with.
    """

    workload: str
    levels: PressureLevels = field(default_factory=PressureLevels)
    engine: EngineSettings = field(default_factory=EngineSettings)

    @property
    def id(self) -> str:
        """A stable, readable name, equal for equal cells of any grid."""
        held = "held" if self.levels.held else "one_shot"
        return "/".join((self.workload, self.engine.label, self.levels.label, held))

    def to_json(self) -> dict[str, Any]:
        """Return all of the cell in plain values; what the digest of a grid is taken over."""
        return {"workload": self.workload, "levels": self.levels.to_json(), "engine": self.engine.to_json()}


def _frozen(value: Any) -> FreeValue:
    """A value as a cell keeps it: JSON has lists where a cell has tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _require_integer(name: str, value: object, *, minimum: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise GridError(f"{name}={value!r}: expected an integer >= {minimum}")
