"""The slow and obvious lock exhauster: walks the whole tree again after every single pin.

The oracle that the linear one is checked against, and the other line of the scaling benchmark. It
differs from SGLang's own in one point, on purpose: a pin that locks nothing new is given back.
"""

from __future__ import annotations

from typing import Any


class NaiveLockRefExhauster:
    """Pins the first unlocked node of a fresh walk, until at most `leave_refs` are left."""

    def __init__(self, tree_cache: Any) -> None:
        self.tree_cache = tree_cache
        self.pinned: list[tuple[Any, Any]] = []

    def exhaust(self, leave_refs: int) -> None:
        tree_cache = self.tree_cache
        if tree_cache.disable:
            return
        while len(unlocked := self._unlocked()) > leave_refs:
            node = unlocked[0]
            receipt = tree_cache.inc_lock_ref(node).to_dec_params()
            if not any(one.lock_ref > 0 for one in unlocked):
                tree_cache.dec_lock_ref(node, receipt)
                return
            self.pinned.append((node, receipt))

    def release(self) -> None:
        while self.pinned:
            node, receipt = self.pinned.pop()
            self.tree_cache.dec_lock_ref(node, receipt)

    def _unlocked(self) -> list[Any]:
        found = []
        stack = list(self.tree_cache.root_node.children.values())
        while stack:
            node = stack.pop()
            if node.lock_ref == 0:
                found.append(node)
            stack.extend(node.children.values())
        return found
