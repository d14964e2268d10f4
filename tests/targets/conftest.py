from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path | None:
    """A cache of its own for each test, except for those that install for real."""
    if request.node.get_closest_marker("real"):
        return None
    folder = tmp_path / "cache"
    monkeypatch.setenv("EXHAUSTERS_CACHE", str(folder))
    monkeypatch.delenv("EXHAUSTERS_TORCH", raising=False)
    return folder
