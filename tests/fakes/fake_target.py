"""A target whose worker runs the fake engine in a real process: no SGLang, no torch, up in a moment."""

from __future__ import annotations

import sys
from pathlib import Path

from exhausters.targets import PreparedTarget, parse_target


def fake_target() -> PreparedTarget:
    """A target that needs no preparation."""
    return PreparedTarget(
        spec=parse_target("release:0.5.23"),
        name="fake",
        version="fake",
        commit=None,
        dirty=False,
        source_dirs=(),
        python=Path(sys.executable),
        pins=(),
        environment_key="fake",
        pycache_prefix=None,
        engine="fake",
    )
