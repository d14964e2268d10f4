"""What pytest loads (entry point `exhausters`): an option, a marker, two fixtures, the report of a failure.

A run that uses none of it pays for this file alone: everything else is imported when a test asks for
an engine. SGLang and torch are never imported in pytest's process.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from exhausters.pytest_plugin.engines import Engines, ScriptedEngine
    from exhausters.targets import PreparedTarget

MARKER = "scripted_engine"
# As for scripts that are started as programs.
_TARGET_VARIABLE = "EXHAUSTERS_TARGET"
_OPTION = "--exhausters-target"
_ENGINE: pytest.StashKey[ScriptedEngine] = pytest.StashKey()
_MARKER_HELP = (
    f"{MARKER}(scope='module', model='dense', clock='virtual', tree_core='default', **engine_keywords): "
    "boot the real SGLang scheduler with these keywords; a generator function so marked is a script"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the SGLang to test."""
    parser.getgroup("exhausters").addoption(
        _OPTION,
        metavar="TARGET",
        default=None,
        help=f"release:X, path:DIR or git:DIR@REV (default: ${_TARGET_VARIABLE}, else the newest release)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER_HELP)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> list[pytest.Item] | None:
    """Collect a marked generator function as a test; pytest itself would refuse it."""
    if not inspect.isgeneratorfunction(obj) or not collector.istestfunction(obj, name):
        return None
    marks = [mark.name for mark in getattr(obj, "pytestmark", ())]
    if MARKER not in marks and collector.get_closest_marker(MARKER) is None:
        return None
    from exhausters.pytest_plugin.script_tests import as_test

    test = as_test(obj, inside=collector)
    items = list(collector._genfunctions(name, test))
    for item in items:
        # pytest looks the function up again by its name, and would find the script.
        item.obj = test
    return items


@pytest.fixture(scope="session")
def exhausters_target(request: pytest.FixtureRequest) -> PreparedTarget:
    """The SGLang to test, ready to boot; override it to test another."""
    from exhausters.targets import NEWEST_RELEASE, prepare

    named = request.config.getoption(_OPTION) or os.environ.get(_TARGET_VARIABLE)
    return prepare(named or f"release:{NEWEST_RELEASE}")


@pytest.fixture(scope="session")
def _exhausters_engines() -> Iterator[Engines]:
    from exhausters.pytest_plugin.engines import Engines

    with Engines() as engines:
        yield engines


@pytest.fixture
def scripted_engine(
    request: pytest.FixtureRequest, exhausters_target: PreparedTarget, _exhausters_engines: Engines
) -> ScriptedEngine:
    """A booted engine; its keywords, and how long it is kept, are those of the marker `scripted_engine`."""
    from exhausters.pytest_plugin.engines import asked_for

    engine = _exhausters_engines.get(exhausters_target, asked_for(request.node))
    request.node.stash[_ENGINE] = engine
    return engine


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the scheduler decided last, where a test with an engine failed."""
    report = yield
    engine = item.stash.get(_ENGINE, None)
    if engine is not None and report.when == "call" and report.failed:
        told = engine.told_steps()
        if told:
            report.sections.append(("decision log, last steps", told))
    return report
