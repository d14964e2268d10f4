"""The tree cache as the harness uses it: the reader that fits its shape, opened when it is first needed."""

from __future__ import annotations

from typing import Any

from exhausters.engine.api import NodeView
from exhausters.engine.sglang.environment import TREE_CORE
from exhausters.engine.sglang.handle_tree import HandleTree
from exhausters.engine.sglang.tree import InspectorTree, ObjectTree, RadixTree, SubmittedPrompts
from exhausters.errors import WalkUnsupportedError


class SGLangTree:
    """`exhausters.engine.api.PrefixTree` over a scheduler's `tree_cache`."""

    def __init__(self, scheduler: Any, submitted_prompts: SubmittedPrompts | None = None) -> None:
        """Read the cache of `scheduler`.

        Args:
            scheduler: SGLang's scheduler.
            submitted_prompts: all token sequences submitted so far, with their outputs; only for cores
                that cannot be walked.
        """
        self._scheduler = scheduler
        self._submitted_prompts = submitted_prompts
        self._reader: RadixTree | None = None

    @property
    def is_disabled(self) -> bool:
        """Whether the radix cache is off."""
        return bool(getattr(self._scheduler.tree_cache, "disable", False))

    @property
    def page_size(self) -> int:
        """Tokens per page."""
        return int(getattr(self._scheduler.tree_cache, "page_size", 1))

    @property
    def tells_locks(self) -> bool:
        """Whether the walk is one over nodes; the released Rust core has only its slots."""
        return not self.is_disabled and not isinstance(self._open(), HandleTree)

    def evictable_tokens(self) -> int | None:
        """Tokens of unlocked nodes; None where there is one count per component."""
        try:
            tokens = self._scheduler.tree_cache.evictable_size()
        except NotImplementedError:  # hybrid caches
            return None
        return tokens if isinstance(tokens, int) else None

    def walk(self) -> list[NodeView]:
        """All nodes but the root, in SGLang's own walk order; none when the cache is disabled."""
        return [] if self.is_disabled else self._open().walk()

    def lock_ref(self, handle: object) -> int:
        """Locks on one node now."""
        return self._open().lock_ref(handle)

    def pin(self, view: NodeView) -> object | None:
        """Lock a node and its path; None when that locked nothing."""
        receipt: object | None = self._open().pin(view)
        return receipt

    def unpin(self, handle: object, receipt: object) -> None:
        """Give one pin back."""
        self._open().unpin(handle, receipt)

    def _open(self) -> RadixTree:
        cache = self._scheduler.tree_cache
        if self._reader is None or self._reader.tree_cache is not cache:
            self._reader = open_tree(cache, self._submitted_prompts)
        return self._reader


def open_tree(tree_cache: Any, submitted_prompts: SubmittedPrompts | None = None) -> RadixTree:
    """The reader that fits the cache.

    Args:
        tree_cache: the scheduler's `tree_cache`, not disabled.
        submitted_prompts: token sequences that were submitted, asked for at each walk; used only by
            cores whose nodes cannot be found otherwise.

    Raises:
        WalkUnsupportedError: the cache has none of the known shapes.
    """
    core = getattr(tree_cache, "tree_core", None)
    if core is not None and hasattr(core, "get_child_node_ids"):
        return InspectorTree(tree_cache)
    owner = tree_cache if core is None else core
    if _root_of(owner) is not None:
        return ObjectTree(tree_cache, root=lambda: _root_of(owner), by_id=core is not None)
    if core is not None and HandleTree.fits(core):
        return HandleTree(tree_cache, submitted_prompts)
    raise WalkUnsupportedError(
        f"{type(tree_cache).__name__} (core {type(core).__name__}) has no root_node, no get_child_node_ids "
        "and not the calls that a walk over handles needs; run the target with "
        f"{TREE_CORE}=python"
    )


def _root_of(owner: Any) -> Any:
    try:
        return owner.root_node
    except (AttributeError, NotImplementedError):  # the Rust adapter has the name, and raises
        return None
