"""Every lock in the prefix tree has an owner that lives."""

from __future__ import annotations

from exhausters.engine.api import NO_PARENT, NodeView
from exhausters.observe.step_record import StepRecord
from exhausters.oracles.base import Oracle, World

# Counting what the requests own is cheap beside a step, and a walk over the tree is not. A lock that was left
# behind stays: it is found later, and the same.
COUNT_EVERY_STEPS = 8
WALK_EVERY_STEPS = 64


class LockLedger(Oracle):
    """Nothing in the tree is locked but the prefixes of requests that live; nothing at all when none does."""

    name = "lock ledger"
    wants = (
        "every locked node of the tree lies on the cached prefix of a request that lives, and none is locked "
        "when the engine is idle"
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._walks = not world.engine.tree.is_disabled and world.engine.tree.tells_locks
        if world.engine.tree.is_disabled:
            self.not_judged = "the radix cache is off"
        elif not self._walks:
            core = world.facts.tree_core
            self.not_judged = f"single nodes: {core} has no walk that tells locks; locked tokens are counted"

    def on_step(self, step: StepRecord) -> None:
        """Every few steps, compare what is locked with what living requests own."""
        tree = self.world.engine.tree
        if step.step % COUNT_EVERY_STEPS or tree.is_disabled or self.world.pressure.lock_refs.pinned_nodes:
            return
        host_pool = self.world.engine.host_pool
        if host_pool is not None and host_pool.has_copies_in_flight():
            return  # the cache itself locks what it copies
        self.judged += 1
        owned = self.world.engine.cached_prefixes()
        tokens = sum(cached for cached, _ in owned.values())
        if step.protected_tokens > tokens:
            self._tell(
                f"{step.protected_tokens:,} tokens of the tree are locked, and the {len(owned)} requests "
                f"that live own {tokens:,} of it",
                step.step,
            )
        elif self._walks and step.step % WALK_EVERY_STEPS == 0:
            stray = _stray(tree.walk(), [node for _, node in owned.values()])
            if stray is not None:
                self._tell(
                    f"node {stray.node_id} of {stray.token_count} tokens has {stray.lock_refs} locks, and no "
                    f"request of the {len(owned)} that live has it in its prefix",
                    step.step,
                )

    def on_drained(self, step: int) -> None:
        """Nothing may be locked any more; works on every core."""
        engine = self.world.engine
        if engine.tree.is_disabled or not engine.is_fully_idle():
            return
        host_pool = engine.host_pool
        if host_pool is not None and host_pool.has_copies_in_flight():
            return
        self.judged += 1
        locked = engine.snapshot().protected_tokens
        if locked:
            self._tell(f"{locked:,} tokens of the tree are locked while the engine is idle", step)

    def _tell(self, saw: str, step: int) -> None:
        if not self.findings:  # a lock that stays is one finding
            self.found(saw, step=step)


def _stray(views: list[NodeView], ends: list[object | None]) -> NodeView | None:
    """The first locked node on no path from the root to one of these ends."""
    ends = [one for one in ends if one is not None]
    explained = [False] * len(views)
    for place in range(len(views) - 1, -1, -1):  # parents come before their children
        view = views[place]
        if not explained[place]:
            explained[place] = any(view.handle is end or view.handle == end for end in ends)
        if explained[place] and view.parent != NO_PARENT:
            explained[view.parent] = True
    found = (view for view, known in zip(views, explained, strict=True) if view.lock_refs and not known)
    return next(found, None)
