"""Options and fixtures of the nightly suite: `pytest benchmarks/gate --benchmark-json=FILE`.

This folder is no package, so asv, which imports every module of `benchmarks`, does not see it; and pytest's
`testpaths` does not name it, so it runs only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exhausters.errors import ExhaustersError
from exhausters.gate_suite.measured_cells import Bench
from exhausters.pressure.lock_refs import KIND as LOCK_REFS
from exhausters.sweep.grid import Grid, load_grid
from exhausters.sweep.record import DRAINED, OUTCOMES
from exhausters.targets import NEWEST_RELEASE, parse_target

_HERE = Path(__file__).parent
_NEWEST = "release:newest"
_GRID = pytest.StashKey[Grid]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("exhausters")
    group.addoption("--target", default=_NEWEST, help="release:X, path:DIR or git:DIR@REV [%(default)s]")
    group.addoption("--grid", default="quick", help="a built-in grid or a TOML file [%(default)s]")
    group.addoption("--rounds", type=int, default=3, help="timed runs of each cell [%(default)s]")
    group.addoption(
        "--accept-outcome",
        action="append",
        default=[],
        choices=[outcome for outcome in OUTCOMES if outcome != DRAINED],
        help="also accept this outcome; repeatable",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--rounds") < 1:
        raise pytest.UsageError("--rounds: expected an integer >= 1")
    try:
        parse_target(_target(config))
        config.stash[_GRID] = load_grid(config.getoption("--grid"))
    except ExhaustersError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    cells = metafunc.config.stash[_GRID].cells
    if "cell_id" in metafunc.fixturenames:
        _parametrize(metafunc, "cell_id", [cell.id for cell in cells])
    elif "pinned_cell_id" in metafunc.fixturenames:
        pinned = [cell.id for cell in cells if LOCK_REFS.level_name in cell.levels.given()]
        _parametrize(metafunc, "pinned_cell_id", pinned)


def _parametrize(metafunc: pytest.Metafunc, name: str, cell_ids: list[str]) -> None:
    # Asked for: of a long text pytest would make a number, and names of tests are what one compares by.
    metafunc.parametrize(name, cell_ids, ids=cell_ids)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lift the time limit of the project's tests.

    It would cover an installation and all rounds of a cell, and a test that it ends is not in the JSON,
    because it knows no outcomes. Boots, cells and scripts have limits of their own, which are recorded.
    """
    for item in items:
        # pytest hands over the whole session, which may hold other tests.
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(0))


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with Bench(_target(request.config), request.config.stash[_GRID]) as opened:
        yield opened


@pytest.fixture(scope="session")
def rounds(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--rounds"))


@pytest.fixture(scope="session")
def accepted(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return (DRAINED, *request.config.getoption("--accept-outcome"))


def _target(config: pytest.Config) -> str:
    text = str(config.getoption("--target"))
    return f"release:{NEWEST_RELEASE}" if text == _NEWEST else text
