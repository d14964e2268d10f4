"""What is counted as alive."""

from __future__ import annotations

import gc

from exhausters.observe.live_objects import live_objects


class _Node:
    def __init__(self) -> None:
        self.itself = self


def test_what_was_frozen_while_it_lived_is_collected() -> None:
    """A cycle that was frozen, and then let go of, is garbage and no growth."""
    name = f"{_Node.__module__}.{_Node.__qualname__}"
    node = _Node()
    try:
        assert live_objects(0).by_type[name] == 1
        gc.freeze()
        del node
        assert name not in live_objects(0).by_type
    finally:
        gc.unfreeze()
