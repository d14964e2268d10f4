"""Takes evictable radix nodes away from the scheduler by locking them, as a running request would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from exhausters.engine.api import NO_PARENT, NodeView, PrefixTree
from exhausters.pressure.base import Exhauster, attempt_all
from exhausters.pressure.kind import ExhausterKind
from exhausters.pressure.level_values import check_level


class HasTree(Protocol):
    """The part of an engine that is needed here."""

    @property
    def tree(self) -> PrefixTree:
        """The prefix cache."""


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class _Pin:
    """One pin that took effect."""

    handle: object
    receipt: object
    node_count: int
    token_count: int


class ScriptedLockRefExhauster(Exhauster):
    """Pins unlocked radix nodes through the cache's own lock calls until few are left.

    Pins the nodes that SGLang's own exhauster pins, in the same order, but walks the tree once instead of
    once per pin. One walk is enough: a lock covers the path to the root, and the walk meets parents first, so
    each pin locks only the node itself and ancestors that could not be pinned on their own. Pinning neither
    adds, removes nor reorders nodes, so the first unlocked node after a pin is the next one in the same
    walk. Those ancestors are counted by climbing from the pinned node; each node is climbed over once.

    Unlike SGLang's own, a pin that locks nothing new is given back, and nodes whose lock would fail halfway
    (sliding-window tombstones) are passed over. Does nothing when the cache is disabled.

    Release before the engine flushes its cache: the pinned nodes are gone after a flush.
    """

    level_name: ClassVar[str] = "leave_refs"

    def __init__(self, engine: HasTree) -> None:
        super().__init__()
        self._engine = engine
        self._pins: list[_Pin] = []

    @property
    def pinned_nodes(self) -> int:
        """Nodes that were unlocked until this exhauster locked them. A later split adds nodes, not pins."""
        return sum(pin.node_count for pin in self._pins)

    @property
    def pinned_tokens(self) -> int:
        """Tokens of those nodes."""
        return sum(pin.token_count for pin in self._pins)

    def exhaust(self, leave_refs: int) -> None:
        """Lock nodes until at most `leave_refs` unlocked ones remain.

        May be called again, with any level; earlier pins stay. Costs one walk.

        Raises:
            LevelError: `leave_refs` is not an integer >= 0.
            WalkUnsupportedError: the tree cannot be walked.
        """
        self._take(check_level(self.level_name, leave_refs))

    def reapply(self) -> None:
        """Take again down to the held level; without a walk when surely nothing exceeds it."""
        level = self.held_level
        if level is not None and not self._surely_within(level):
            self._take(level)

    def _surely_within(self, level: int) -> bool:
        # Every evictable node holds at least one page, and a cache counts its evictable tokens as it goes.
        tree = self._engine.tree
        evictable_tokens = tree.evictable_tokens()
        return evictable_tokens is not None and evictable_tokens // tree.page_size <= level

    def _take(self, level: int) -> None:
        tree = self._engine.tree
        views = tree.walk()
        unlocked = {position for position, view in enumerate(views) if view.lock_refs == 0}
        for position, view in enumerate(views):
            if len(unlocked) <= level:
                return
            if position not in unlocked or not view.pinnable:
                continue
            receipt = tree.pin(view)
            if receipt is None:
                return
            locked = _climb(views, position, unlocked)
            unlocked.difference_update(locked)
            self._pins.append(
                _Pin(
                    handle=view.handle,
                    receipt=receipt,
                    node_count=len(locked),
                    token_count=sum(views[one].token_count for one in locked),
                )
            )

    def _give_back(self) -> None:
        pins, self._pins = self._pins, []
        tree = self._engine.tree
        attempt_all("giving back locks", [_unpinning(tree, pin) for pin in reversed(pins)])


KIND = ExhausterKind(
    level_name=ScriptedLockRefExhauster.level_name,
    unit="nodes",
    scarce="evictable radix nodes",
    meaning="how many radix nodes stay unlocked, and so evictable",
    heading="leave\nrefs",
    factory=ScriptedLockRefExhauster,
    holds=("pinned_nodes", "pinned_tokens"),
    # First: a lock never needs a page, and a page never a lock.
    rank=0,
    always_shown=True,
)


def _climb(views: list[NodeView], position: int, unlocked: set[int]) -> list[int]:
    """The node and its ancestors up to the first that was locked before: all above that one are locked."""
    locked = []
    while position != NO_PARENT and position in unlocked:
        locked.append(position)
        position = views[position].parent
    return locked


def _unpinning(tree: PrefixTree, pin: _Pin) -> Callable[[], None]:
    return lambda: tree.unpin(pin.handle, pin.receipt)
