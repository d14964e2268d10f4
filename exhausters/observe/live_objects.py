"""What is alive in this process: objects by type, and the lengths of containers."""

from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import FrameType
from typing import Any

# What a list of plain values costs is in its length alone: the values themselves are not tracked.
_CONTAINERS = (dict, list, set, deque, bytearray)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveObjects:
    """What is alive at one moment.

    Attributes:
        by_type: tracked objects of each type, by its full name.
        lengths: length of each container, by its id.
        requests: requests that had been served until then.
    """

    by_type: Mapping[str, int] = field(default_factory=dict)
    lengths: Mapping[int, int] = field(default_factory=dict)
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """Something that is more after each round of requests.

    Attributes:
        what: the name of a type, or where a container is kept.
        is_container: whether it is the length of one container that grows.
        per_1000_requests: by how many objects, or elements.
    """

    what: str
    is_container: bool
    per_1000_requests: float


def live_objects(requests: int) -> LiveObjects:
    """Collect garbage, and count what is left; also what was frozen since the process began."""
    # What is frozen is not collected: a tree that was frozen while it lived, and then flushed, would count.
    gc.unfreeze()
    gc.collect()
    try:
        objects = gc.get_objects()
        types = Counter(map(type, objects))
        lengths = {id(one): len(one) for one in objects if type(one) in _CONTAINERS and not _is_bounded(one)}
        del objects
    finally:
        # What a boot leaves alive is most of the heap: later collections need not walk it.
        gc.freeze()
    by_type: Counter[str] = Counter()
    for kind, count in types.items():
        by_type[_name_of(kind)] += count
    return LiveObjects(by_type=dict(by_type), lengths=lengths, requests=requests)


def _is_bounded(container: Any) -> bool:
    """A window over the newest values is not full after a few rounds, and never grows past its bound."""
    return isinstance(container, deque) and container.maxlen is not None


def grown_types(looks: Sequence[LiveObjects]) -> list[Grown]:
    """Return the types of which each look found more than the one before, the most frequent first."""
    served = looks[-1].requests - looks[0].requests
    found = []
    for name, last in looks[-1].by_type.items():
        counts = [one.by_type.get(name, 0) for one in looks]
        if all(before < after for before, after in pairwise(counts)):
            rate = (last - counts[0]) * 1000 / served
            found.append(Grown(what=name, is_container=False, per_1000_requests=rate))
    return sorted(found, key=lambda one: -one.per_1000_requests)


def grown_containers(looks: Sequence[LiveObjects]) -> list[Grown]:
    """Return the containers that each look found longer than the one before, with where they are kept."""
    served = looks[-1].requests - looks[0].requests
    grown = {}
    for key, last in looks[-1].lengths.items():
        counts = [one.lengths.get(key) for one in looks]
        if all(a is not None and b is not None and a < b for a, b in pairwise(counts)):
            grown[key] = (last - (counts[0] or 0)) * 1000 / served
    if not grown:
        return []
    gc.unfreeze()  # of what is frozen nobody is found to refer to it
    try:
        found = [one for one in gc.get_objects() if id(one) in grown and type(one) in _CONTAINERS]
        named = [
            Grown(what=_place(one), is_container=True, per_1000_requests=grown[id(one)]) for one in found
        ]
    finally:
        gc.freeze()
    return sorted(named, key=lambda one: -one.per_1000_requests)


def _place(container: Any, *, depth: int = 2) -> str:
    """Where a container is kept, as far as that can be told: class and attribute, or a module's variable."""
    kind = type(container).__name__
    around = [one for one in gc.get_referrers(container) if not isinstance(one, FrameType)]
    for one in around:
        owner, attributes = _attributes(one)
        name = next((key for key, value in attributes.items() if value is container), None)
        if isinstance(name, str) and "__name__" in attributes:
            return f"{attributes['__name__']}.{name} ({kind})"
        if isinstance(name, str) and owner is not None:
            return f"{_name_of(type(owner))}.{name} ({kind})"
    for one in around if depth else ():
        if type(one) in (dict, list):
            outer = _place(one, depth=depth - 1)
            if not outer.startswith(_UNKNOWN):
                return f"{outer}, in it a {kind}"
    return f"{_UNKNOWN} {kind}"


_UNKNOWN = "an unknown object's"


def _attributes(holder: Any) -> tuple[Any, Mapping[Any, Any]]:
    """Who has these attributes, and the attributes by name; of a plain dictionary, whose they are."""
    if isinstance(holder, dict):
        if "__name__" in holder:
            return None, holder
        owners = gc.get_referrers(holder)
        return next((one for one in owners if getattr(one, "__dict__", None) is holder), None), holder
    slots = {name: getattr(holder, name, None) for name in getattr(type(holder), "__slots__", ())}
    return holder, {**slots, **getattr(holder, "__dict__", {})}


def _name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
