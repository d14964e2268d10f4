"""Wrap what the scheduler calls to evict and to retract, for as long as a run is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exhausters.errors import SeamError


def wrap(
    owner: Any, name: str, make_wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Callable[[], None]:
    """Put a wrapper in the place of a method of an object or a class; returns what takes it off again.

    On an instance the wrapper sits in front of the class's function, so taking it off leaves no trace.
    Several wrappers are taken off in reverse order.

    Raises:
        SeamError: there is no such method.
    """
    original = getattr(owner, name, None)
    if original is None:
        kind = owner if isinstance(owner, type) else type(owner)
        raise SeamError(f"{kind.__name__} has no {name} to observe")
    own = vars(owner).get(name)
    setattr(owner, name, make_wrapper(original))

    def take_off() -> None:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)

    return take_off


class CallProbe:
    """Replaces one method of an object by a wrapper that tells `after(result, first argument)`.

    `before(first argument)` is told first, when it is given.
    """

    def __init__(
        self,
        owner: Any,
        name: str,
        after: Callable[[Any, Any], None],
        before: Callable[[Any], None] | None = None,
    ) -> None:
        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            def observed(*args: Any, **keywords: Any) -> Any:
                if before is not None:
                    before(args[0] if args else None)
                result = original(*args, **keywords)
                after(result, args[0] if args else None)
                return result

            return observed

        self._take_off = wrap(owner, name, make)

    def remove(self) -> None:
        """Put the original back."""
        self._take_off()


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


def window_tokens_given(result: Any) -> int:
    """Sliding-window tokens that an eviction freed."""
    return int(getattr(result, "swa_num_tokens_evicted", 0) or 0)
