"""Bugs that are put back into the newest release are found there, and gone when they are taken out."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from benchmarks.museum.acts import acted
from benchmarks.museum.exhibit import Exhibit, choose, load_exhibits
from benchmarks.museum.sight import compare
from exhausters.engine.settings import HostSettings
from exhausters.errors import ExhaustersError
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.failure import failed_result
from exhausters.sweep.record import CellResult
from tests.conftest import Hosts

# One engine for all of them.
_ENGINE = EngineSettings(max_running_requests=4)
_SETTINGS = HostSettings(engine=_ENGINE.engine_keywords())
# A mark that stays, a leak, and outputs that are not found again: two oracles, and the count of pages.
_CHEAP = (23138, 1674, 16521)


def _run(hosts: Hosts, exhibit: Exhibit, *, is_broken: bool) -> CellResult:
    acts = [asdict(one) for one in exhibit.acts]
    patches = [asdict(one) for one in exhibit.patches] if is_broken else []
    try:
        # A new worker if the bug has ended the one before.
        result: CellResult = hosts.get(_SETTINGS).run(acted, exhibit.cell, exhibit.workload, acts, patches)
    except ExhaustersError as error:
        return failed_result(error, exhibit.cell, exhibit.workload)
    return result


@pytest.mark.real
@pytest.mark.parametrize("number", _CHEAP)
def test_a_bug_is_found_while_it_is_there(hosts: Hosts, number: int) -> None:
    """Its detector fires with the bug, and is silent without it, before and afterwards."""
    (exhibit,) = choose(load_exhibits(), [number])
    exhibit = replace(exhibit, cell=replace(exhibit.cell, engine=_ENGINE))
    before = _run(hosts, exhibit, is_broken=False)
    broken = _run(hosts, exhibit, is_broken=True)
    after = _run(hosts, exhibit, is_broken=False)
    sighting = compare(exhibit, broken, before)
    assert sighting.is_found, sighting.says
    assert before.log.digest == after.log.digest
