"""Runs the real scheduler from a mirror; wheels are fetched once, into the cache."""

from __future__ import annotations

import pytest

from exhausters.mirror import configured_index, mirror_releases, parse_range
from exhausters.sweep.grid import parse_grid
from exhausters.sweep.runner import sweep
from exhausters.targets import prepare
from exhausters.targets.cache import cache_root
from exhausters.targets.claims import claim

TINY = {"axes": {"workload": ["shared_prefix"], "leave_pages": ["all", 56], "leave_refs": ["all", 0]}}


@pytest.mark.parametrize(
    "version",
    [
        pytest.param("0.5.23", marks=pytest.mark.real),
        pytest.param("0.5.16", marks=pytest.mark.releases),
    ],
)
def test_mirrored_commit_decides_as_the_release(version: str) -> None:
    """A mirrored commit has the release's pins, tree core and decision logs, byte for byte."""
    directory = cache_root() / "mirrors" / f"{version}.git"
    claim(directory)
    mirror_releases(parse_range(version), directory, configured_index())
    grid = parse_grid(TINY, source="tiny")
    released = prepare(f"release:{version}")
    mirrored = prepare(f"git:{directory}@v{version}")
    assert mirrored.pins == released.pins
    assert mirrored.environment_key == released.environment_key
    assert mirrored.version == released.version
    pairs = zip(sweep(released, grid), sweep(mirrored, grid), strict=True)
    for ours, theirs in ((mirror.result, release.result) for release, mirror in pairs):
        assert theirs.outcome == "drained"
        assert ours.log == theirs.log
        assert ours.log.digest == theirs.log.digest
        for name in ("tree_cache", "tree_core"):
            assert ours.provenance.get(name) == theirs.provenance.get(name)
