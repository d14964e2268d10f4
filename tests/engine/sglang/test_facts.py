from __future__ import annotations

from dataclasses import replace

import pytest

from exhausters.engine.api import BootFacts
from exhausters.engine.settings import HostSettings
from exhausters.engine.sglang.facts import require_rust_core
from exhausters.errors import BootError


def facts(core: str) -> BootFacts:
    return BootFacts(
        pid=1,
        sglang_version="0.5.23",
        python_version="3.12.0",
        torch_version="2.13.0",
        tree_cache="UnifiedRadixCache",
        tree_core=core,
        allocator="TokenToKVPoolAllocator",
        page_size=1,
        max_total_tokens=64,
        max_running_requests=4,
        overlap=True,
        policy="fcfs",
    )


def test_facts_of_records_are_the_fields_that_apply() -> None:
    """Records have a reason for an unchecked window pool only where there is one."""
    plain = facts("none")
    told = replace(plain, window_pool_unchecked="its rows are not reported")
    assert told.to_json() == {**plain.to_json(), "window_pool_unchecked": "its rows are not reported"}


@pytest.mark.parametrize("core", ["UnifiedTreeCore", "none"])
def test_another_core_than_rust_is_refused(core: str) -> None:
    """A worker that came up with another core than the Rust one that was asked for is a named error."""
    with pytest.raises(BootError, match=rf"tree_core='rust': .*0\.5\.23.*'{core}'"):
        require_rust_core(HostSettings(tree_core="rust"), facts(core))


@pytest.mark.parametrize(
    ("settings", "core"),
    [
        (HostSettings(tree_core="rust"), "RustUnifiedTreeCore"),
        (HostSettings(tree_core="default"), "UnifiedTreeCore"),
        (HostSettings(tree_core="python"), "none"),
        (HostSettings(tree_core="rust", engine={"disable_radix_cache": True}), "none"),
    ],
)
def test_what_was_asked_for_passes(settings: HostSettings, core: str) -> None:
    """A core that was not asked for by name, or that has no tree to be in, is nobody's error."""
    require_rust_core(settings, facts(core))
