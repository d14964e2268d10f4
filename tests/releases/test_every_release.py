from __future__ import annotations

from collections.abc import Iterator

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.errors import BootError
from exhausters.targets import SUPPORTED_RELEASES, prepare
from exhausters.worker.host import Host
from tests.releases import scripts_releases
from tests.scripted import scripts_leaks

pytestmark = pytest.mark.releases

_POOLS = {
    "max_total_tokens": 4096,
    "max_running_requests": 32,
    "chunked_prefill_size": scripts_releases.CHUNK_TOKENS,
}
# Between them: both event loops, both allocators, both forms of the tree, mixed chunks, two policies.
SETTINGS = {
    "paged-overlap": HostSettings(engine={**_POOLS, "page_size": 16}),
    "tokens-normal-python": HostSettings(
        engine={
            **_POOLS,
            "page_size": 1,
            "disable_overlap_schedule": True,
            "schedule_policy": "lpm",
            "enable_mixed_chunk": True,
        },
        # Read only by releases that have a unified tree; it makes no difference to the others.
        tree_core="python",
    ),
}


@pytest.fixture(scope="module", params=[(v, s) for v in SUPPORTED_RELEASES for s in SETTINGS], ids="-".join)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    version, settings = request.param
    with Host(prepare(f"release:{version}"), SETTINGS[settings]) as booted:
        yield booted


def test_boots_what_was_asked_for(host: Host) -> None:
    """The worker runs the release and the settings that were asked for, not some that are at hand."""
    wanted = host.settings.engine
    assert host.facts["sglang_version"] == host.target.version
    assert host.facts["page_size"] == wanted["page_size"]
    assert host.facts["max_total_tokens"] == wanted["max_total_tokens"]
    assert host.facts["overlap"] is not wanted.get("disable_overlap_schedule", False)
    assert host.facts["policy"] == wanted.get("schedule_policy", "fcfs")
    assert host.ready.notes == ()


def test_python_core_where_there_is_a_unified_tree(host: Host) -> None:
    """`tree_core` decides the tree's core in every release that has a choice."""
    core = host.facts["tree_core"]
    if core == "none":
        assert host.facts["tree_cache"] == "RadixCache"
    elif host.settings.tree_core == "python":
        assert "Rust" not in core


@pytest.mark.parametrize("version", ["0.5.13", "0.5.17"])
def test_rust_core_is_not_replaced_silently(version: str) -> None:
    """Where SGLang falls back from the Rust core that was asked for, the boot fails and says so."""
    settings = HostSettings(engine={**_POOLS, "page_size": 16}, tree_core="rust")
    with pytest.raises(BootError, match=r"tree_core='rust': .* ask for python or default"):
        Host(prepare(f"release:{version}"), settings)


def test_exhausters_under_a_chunked_prefill(host: Host) -> None:
    """All three exhausters together leave exactly what was asked, and give back everything."""
    host.run(scripts_leaks.expect_clean)
    found = host.run(scripts_releases.all_exhausters)
    host.run(scripts_leaks.expect_clean)

    assert found == {"chunks": 5, "locked": 2, "held_rows": 30}


def test_retractions_finish_after_the_release(host: Host) -> None:
    """Requests that lose their pages to the exhauster are retracted, and finish once it lets go."""
    found = host.run(scripts_releases.retract_and_finish)
    host.run(scripts_leaks.expect_clean)

    assert found["retracted"] >= 1


def test_a_script_finds_the_engine_as_it_was(host: Host) -> None:
    """What a script reads of the engine does not depend on the scripts before it."""
    first = host.run(scripts_releases.all_exhausters)
    host.run(scripts_releases.retract_and_finish)

    assert host.run(scripts_releases.all_exhausters) == first
