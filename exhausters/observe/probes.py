"""Wrap what the scheduler calls to evict and to retract, for as long as a run is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exhausters.errors import SeamError


class CallProbe:
    """Replaces one method of an object by a wrapper that tells `after(result, first argument)`.

    The wrapper sits on the object itself, in front of its class, so removing it leaves SGLang as it was.
    """

    def __init__(self, owner: Any, name: str, after: Callable[[Any, Any], None]) -> None:
        original = getattr(owner, name, None)
        if original is None:
            raise SeamError(f"{type(owner).__name__} has no {name} to observe")
        self._owner = owner
        self._name = name
        # A class keeps its own function; an instance gets an attribute in front of its class's.
        self._is_class = isinstance(owner, type)

        def observed(*args: Any, **keywords: Any) -> Any:
            result = original(*args, **keywords)
            after(result, args[0] if args else None)
            return result

        setattr(owner, name, observed)
        self._original = original

    def remove(self) -> None:
        """Put the original back."""
        if self._is_class:
            setattr(self._owner, self._name, self._original)
        else:
            delattr(self._owner, self._name)


def eviction_method(tree_cache: Any) -> str:
    """Name of the one method through which all evictions of this cache go.

    Releases from 0.5.19 on have several public entries that meet in `_evict`; before, there is `evict`.
    """
    return "_evict" if hasattr(tree_cache, "_evict") else "evict"


def tokens_asked(params: Any) -> int:
    """Full-attention tokens that an eviction was asked for."""
    return int(getattr(params, "num_tokens", 0) or 0)


def tokens_given(result: Any) -> int:
    """Full-attention tokens that an eviction freed."""
    return int(getattr(result, "num_tokens_evicted", 0) or 0)
