from __future__ import annotations

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.engine.sglang.facts import require_rust_core
from exhausters.errors import BootError


def facts(core: str) -> dict[str, str]:
    return {"tree_core": core, "tree_cache": "UnifiedRadixCache", "sglang_version": "0.5.23"}


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
