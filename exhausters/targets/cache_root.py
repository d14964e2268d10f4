"""Where everything that this project caches is kept."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_root"]


def cache_root() -> Path:
    """Return the absolute folder of everything this project caches; it need not exist yet.

    `$EXHAUSTERS_CACHE`, else `$XDG_CACHE_HOME/exhausters`, else `~/.cache/exhausters`.
    """
    if own := os.environ.get("EXHAUSTERS_CACHE"):
        return Path(own).expanduser().absolute()
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification asks to ignore relative paths.
    base = Path(xdg) if os.path.isabs(xdg) else Path.home() / ".cache"
    return base / "exhausters"
