"""SGLang's own checks of an idle engine, turned off while something is withheld."""

from __future__ import annotations

import os
import sys
from typing import Any

from exhausters.engine.sglang.environment import STRICT_IDLE_CHECK, TREE_SANITY_CHECK


def set_idle_checks(scheduler: Any, enabled: bool) -> None:
    """Turn SGLang's own checks of an idle engine on or off; withheld pages and pins look like leaks to them.

    The leak check reads its variable each time it reports, and raises or only logs. The tree's sanity check,
    which hybrid models run, reads one too from 0.5.19 on; before, it has no switch and is stood in for on the
    cache object itself.
    """
    value = "1" if enabled else "0"
    os.environ[STRICT_IDLE_CHECK] = value
    os.environ[TREE_SANITY_CHECK] = value
    tree = scheduler.tree_cache
    if enabled:
        vars(tree).pop("sanity_check", None)
    elif hasattr(tree, "sanity_check"):
        tree.sanity_check = _no_check


def let_switches_answer() -> None:
    """Let a switch of SGLang's be asked as a truth value.

    The leak check of 0.5.6 asks it in that way, which raises, and so cannot be turned off. A week later it
    asked for the value.
    """
    switch: Any = getattr(sys.modules.get("sglang.srt.environ"), "EnvBool", None)
    if switch is not None:
        switch.__bool__ = lambda self: bool(self.get())


def _no_check() -> None:
    """Stand in for a check that cannot hold while something is withheld."""
