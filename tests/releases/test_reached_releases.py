"""Releases from before the scripted hook are stepped and drained as newer ones are, or refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.errors import SeamError, UnsupportedSettingError
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.drain import run_cell
from exhausters.sweep.grid import load_grid
from exhausters.sweep.record import DRAINED, CellResult
from exhausters.sweep.run_options import CHECKED, RunOptions
from exhausters.targets import REACHED_RELEASES, prepare
from exhausters.worker.host import Host
from exhausters.workloads import parse_workload
from tests.releases import scripts_releases
from tests.scripted import scripts_leaks

pytestmark = pytest.mark.releases

# The last release without a door for models from elsewhere.
_TOO_OLD = "0.5.5.post3"
# Their schedulers admit by how many requests run: a row that is withheld would end them.
_ROWS_NOT_LOOKED_AT = REACHED_RELEASES[: REACHED_RELEASES.index("0.5.12")]
# A bug of SGLang, mended on 10 February 2026 (16521): what a finished request leaves ends with its prompt.
_OUTPUTS_NOT_FOUND_AGAIN = REACHED_RELEASES[: REACHED_RELEASES.index("0.5.9")]
LOOPS = {
    "overlap": EngineSettings(chunked_prefill_size=scripts_releases.CHUNK_TOKENS, max_running_requests=32),
    "normal": EngineSettings(
        chunked_prefill_size=scripts_releases.CHUNK_TOKENS, max_running_requests=32, overlap=False
    ),
}


def drained(host: Host, engine: EngineSettings) -> list[CellResult]:
    """Run the grid `short` with all promises judged; SGLang's own leak check runs after each cell."""
    results: list[CellResult] = []
    for cell in load_grid("short").cells:
        named = replace(cell, engine=engine)
        results.append(
            host.run(run_cell, named, parse_workload(cell.workload), RunOptions(passes=(CHECKED,)))
        )
    return results


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("release", REACHED_RELEASES)
def test_it_is_driven_as_newer_releases_are(release: str, loop: str) -> None:
    """The exhausters leave what was asked and give it back, the cells drain and add up, digests are equal."""
    engine, target = LOOPS[loop], prepare(f"release:{release}")
    settings = HostSettings(engine=engine.engine_keywords())
    with Host(target, settings) as host:
        assert host.facts["sglang_version"] == release
        assert host.facts["overlap"] is engine.overlap
        if release in _ROWS_NOT_LOOKED_AT:
            with pytest.raises(UnsupportedSettingError, match=r"leave_rows: .* which rows are free"):
                host.run(scripts_releases.withhold_rows)
        leave_rows = None if release in _ROWS_NOT_LOOKED_AT else 2
        found = host.run(scripts_releases.all_exhausters, leave_rows)
        assert found == {"chunks": 5, "locked": 2, "held_rows": 0 if leave_rows is None else 30}
        assert host.run(scripts_releases.retract_and_finish)["retracted"] >= 1
        host.run(scripts_leaks.expect_clean)
        first = drained(host, engine)
    with Host(target, settings) as host:
        second = drained(host, engine)

    assert [one.outcome for one in first] == [DRAINED] * len(first)
    broken = {
        finding.promise for one in first for finding in (one.judgement.findings if one.judgement else ())
    }
    assert broken == ({"cache honesty"} if release in _OUTPUTS_NOT_FOUND_AGAIN else set())
    assert [one.log.digest for one in first] == [one.log.digest for one in second]
    # What evictions free is seen also where they do not say it.
    assert all((one.metrics["evicted_tokens"] or 0) > 0 for one in first)


def test_what_is_too_old_says_which_interface_is_missing() -> None:
    """Without a door for a null model a release is refused by that name, and nothing is installed."""
    with pytest.raises(SeamError, match=r"SGLANG_EXTERNAL_MODEL_PACKAGE.*0\.5\.6"):
        prepare(f"release:{_TOO_OLD}")
