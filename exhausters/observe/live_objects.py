"""What is alive in this process: objects by type, and the lengths of containers."""

from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
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

    by_type: Mapping[str, int]
    lengths: Mapping[int, int]
    requests: int


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
    gc.collect()
    gc.unfreeze()
    try:
        objects = gc.get_objects()
        types = Counter(map(type, objects))
        lengths = {id(one): len(one) for one in objects if type(one) in _CONTAINERS and not _is_bounded(one)}
        del lengths[id(objects)], objects
    finally:
        # What a boot leaves alive is most of the heap: later collections need not walk it.
        gc.freeze()
    by_type: Counter[str] = Counter()
    for kind, count in types.items():
        by_type[f"{kind.__module__}.{kind.__qualname__}"] += count
    return LiveObjects(by_type=by_type, lengths=lengths, requests=requests)


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
    named = {id(one): _place(one) for one in gc_objects() if id(one) in grown and type(one) in _CONTAINERS}
    found = [
        Grown(what=named[key], is_container=True, per_1000_requests=rate)
        for key, rate in grown.items()
        if key in named
    ]
    return sorted(found, key=lambda one: -one.per_1000_requests)


def gc_objects() -> Iterator[Any]:
    """Yield every tracked object, frozen ones too."""
    gc.unfreeze()
    objects = gc.get_objects()
    gc.freeze()
    yield from objects


def _place(container: Any, *, depth: int = 2) -> str:
    """Where a container is kept, as far as that can be told: class and attribute, or a module's variable."""
    kind = type(container).__name__
    for holder in _holders(container):
        name = next((key for key, value in holder.items() if value is container), None)
        if not isinstance(name, str):
            continue
        if "__name__" in holder:
            return f"{holder['__name__']}.{name} ({kind})"
        owner = next(
            (one for one in gc.get_referrers(holder) if getattr(one, "__dict__", None) is holder), None
        )
        if owner is not None:
            return f"{type(owner).__module__}.{type(owner).__qualname__}.{name} ({kind})"
    for one in gc.get_referrers(container):
        names = [
            name for name in getattr(type(one), "__slots__", ()) if getattr(one, name, None) is container
        ]
        if names:
            return f"{type(one).__module__}.{type(one).__qualname__}.{names[0]} ({kind})"
        if depth and type(one) in (dict, list) and one is not container:
            outer = _place(one, depth=0)
            if not outer.startswith("a "):
                return f"{outer}[…] ({kind})"
    return f"a {kind} whose owner is unknown"


def _holders(container: Any) -> Iterator[dict[Any, Any]]:
    for one in gc.get_referrers(container):
        if isinstance(one, dict):
            yield one
        elif isinstance(getattr(one, "__dict__", None), dict):
            yield vars(one)
