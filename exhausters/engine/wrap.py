"""Put a wrapper in the place of a method, and take it off again without a trace."""

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


def wrap_calls(
    owner: Any,
    name: str,
    after: Callable[[Any, Any], None],
    before: Callable[[Any], None] | None = None,
) -> Callable[[], None]:
    """Call `after(result, first argument)` after each call of a method; returns what ends that.

    `before(first argument)` is called first, when it is given. Raises SeamError when there is no such method.
    """

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def observed(*args: Any, **keywords: Any) -> Any:
            if before is not None:
                before(args[0] if args else None)
            result = original(*args, **keywords)
            after(result, args[0] if args else None)
            return result

        return observed

    return wrap(owner, name, make)
