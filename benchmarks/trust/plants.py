"""Plants as data: what is changed, and which answer is right."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from exhausters.errors import UsageError
from exhausters.observe.phases import PHASES
from exhausters.observe.smallest_effects import COST, OUTCOME_ROLE
from exhausters.sweep.grid import Grid, parse_grid
from reports.detect.cell_groups import PRESSURES
from reports.vocabulary import (
    BETTER,
    BROKEN,
    IDENTICAL,
    NEUTRAL,
    TRADE_OFF,
    UNDECIDED,
    UNREACHED,
    WORSE,
)

FOLDER = Path(__file__).parent
ANSWERS = (IDENTICAL, NEUTRAL, BETTER, WORSE, TRADE_OFF, UNDECIDED, UNREACHED, BROKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """One planted change, and the answers that are right (the fields are explained in `plants.toml`).

    Raises:
        UsageError: a word that there is not, or no right answer.
    """

    name: str
    does: str
    file: str
    code: str
    expect: tuple[str, ...]
    reverse: tuple[str, ...]
    role: str = ""
    phase: str = ""
    under: tuple[str, ...] = ()
    not_under: tuple[str, ...] = ()
    pairs: bool = False

    def __post_init__(self) -> None:
        for given, known, what in (
            (self.expect, ANSWERS, "answers"),
            (self.reverse, ANSWERS, "answers"),
            ((self.role,), ("", OUTCOME_ROLE, COST), "roles"),
            ((self.phase,), ("", *PHASES), "phases"),
            ((*self.under, *self.not_under), PRESSURES, "pressures"),
        ):
            unknown = set(given) - set(known)
            if unknown:
                raise UsageError(f"plant {self.name}: {sorted(unknown)}: the {what} are {', '.join(known)}")
        if not self.expect or not self.reverse:
            raise UsageError(f"plant {self.name}: expected at least one right answer in each direction")


def load_plants(path: Path = FOLDER / "plants.toml") -> tuple[Plant, ...]:
    """Return the plants of a file; raises UsageError for one that makes no sense."""
    names = {one.name for one in fields(Plant)}
    plants = []
    for values in tomllib.loads(path.read_text())["plants"]:
        unknown = set(values) - names
        if unknown:
            raise UsageError(f"plant {values.get('name')}: no field {', '.join(sorted(unknown))}")
        plants.append(Plant(**{name: _frozen(value) for name, value in values.items()}))
    if len({one.name for one in plants}) != len(plants):
        raise UsageError(f"{path.name}: two plants have one name")
    return tuple(plants)


def choose(plants: Sequence[Plant], names: Sequence[str]) -> tuple[Plant, ...]:
    """Return the plants with these names, all of them when none is given; raises UsageError."""
    unknown = set(names) - {one.name for one in plants}
    if unknown:
        raise UsageError(
            f"no plant {', '.join(sorted(unknown))}; there are {', '.join(p.name for p in plants)}"
        )
    return tuple(one for one in plants if not names or one.name in names)


def trust_grid(seed: int) -> Grid:
    """Return the cells in which changes are planted, with workloads of this seed."""
    document: Mapping[str, Any] = tomllib.loads(
        (FOLDER / "grid.toml").read_text().replace("=SEED", f"={seed}")
    )
    return parse_grid(document, source="trust")


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
