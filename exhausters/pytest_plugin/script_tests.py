"""Turn a script into a test function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from exhausters.errors import ScriptFailedError

if TYPE_CHECKING:
    from exhausters.pytest_plugin.engines import ScriptedEngine


def as_test(script: Callable[..., Any], *, inside: pytest.Collector) -> Callable[..., None]:
    """Return a test that plays a script.

    The first parameter of the script is the context; the others are fixtures or parameters of the test.

    Raises:
        pytest.Collector.CollectError: the script has no parameter, or is a method.
    """
    context, *others = inspect.signature(script).parameters.values() or (None,)
    if context is None or isinstance(inside, pytest.Class):
        raise inside.CollectError(
            f"{script.__qualname__}: expected a function at the top of its file, whose first parameter is "
            "the scripted context: the worker finds it there by its name"
        )

    def test(*, scripted_engine: ScriptedEngine, **arguments: Any) -> None:
        try:
            scripted_engine.run(script, *(arguments[one.name] for one in others))
        except ScriptFailedError as error:
            failure = str(error)
        else:
            return
        # The worker's traceback is all there is to see.
        pytest.fail(failure, pytrace=False)

    functools.update_wrapper(test, script)
    engine = inspect.Parameter("scripted_engine", inspect.Parameter.KEYWORD_ONLY)
    named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in others]
    test.__signature__ = inspect.Signature([engine, *named])  # type: ignore[attr-defined]
    return test
