"""How much of each scarce resource is left: one level per registered exhauster."""

from __future__ import annotations

from dataclasses import dataclass

from exhausters.errors import LevelError
from exhausters.pressure.kind import short_name
from exhausters.pressure.level_values import ALL, check_level
from exhausters.pressure.registry import kind_of, kinds, level_names


@dataclass(frozen=True, init=False, repr=False)
class PressureLevels:
    """The pressure of one cell: `PressureLevels(leave_pages=3, held=True)`.

    Every registered level can be given by its name and is read as an attribute; `None` leaves the resource
    alone.

    Attributes:
        held: False takes once; True takes again at every step, so that the level stays.

    Raises:
        LevelError: a name that no exhauster has, a level that is neither None nor an integer >= 0, or a
            `held` that is no bool.
    """

    _given: tuple[tuple[str, int], ...]
    held: bool

    def __init__(self, *, held: bool = False, **levels: int | None) -> None:
        checked = {
            name: check_level(name, value, meaning=kind_of(name).meaning)
            for name, value in levels.items()
            if kind_of(name) and value is not None
        }
        if not isinstance(held, bool):
            raise LevelError(f"held={held!r}: must be True (take again every step) or False (take once)")
        # One order, whatever the caller's: equal levels are equal objects.
        given = tuple((name, checked[name]) for name in level_names() if name in checked)
        object.__setattr__(self, "_given", given)
        object.__setattr__(self, "held", held)

    def __getattr__(self, name: str) -> int | None:
        # Called for what is no field: a level. `_given` itself is missing while an object is being copied.
        if name.startswith("_"):
            raise AttributeError(name)
        given = dict(self._given)
        if name not in given and name not in level_names():
            raise AttributeError(
                f"{name}: no exhauster has this level; the levels are {', '.join(level_names())}"
            )
        return given.get(name)

    def __repr__(self) -> str:
        shown = [f"{name}={value}" for name, value in self._given]
        return f"PressureLevels({', '.join([*shown, f'held={self.held}'])})"

    def given(self) -> dict[str, int]:
        """The levels that are not None, by name."""
        return dict(self._given)

    def as_axes(self) -> dict[str, int | str]:
        """Every registered level, and every given one, by name; `"all"` where the resource is left alone."""
        return {**dict.fromkeys(level_names(), ALL), **self.given()}

    def to_json(self) -> dict[str, int | bool | None]:
        """The levels as records and digests hold them.

        Levels that joined later are there only when they are given: what was written before they joined reads
        the same, and so do the digests.
        """
        return {**self._shown(), "held": self.held}

    @property
    def label(self) -> str:
        """The levels in one word, as ids of cells have it: `pages=3,refs=all,rows=all`."""
        return ",".join(
            f"{short_name(name)}={ALL if level is None else level}" for name, level in self._shown().items()
        )

    def _shown(self) -> dict[str, int | None]:
        # What was given is shown even if this process has no exhauster for it: it was sent by one that has.
        always = [kind.level_name for kind in kinds() if kind.always_shown]
        given = self.given()
        names = dict.fromkeys([name for name in level_names() if name in always or name in given])
        return {name: given.get(name) for name in names | given}
