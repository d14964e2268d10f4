"""HiCache's pool in host memory: what is free, what the tree keeps there, and what moves.

In every release from 0.5.13 on, `cache_controller.mem_pool_host` gives slots out (`alloc`, `free`), and
`write` and `load` of the controller start each copy. Which slots the tree keeps is on its nodes, or, in the
released Rust core, behind `build_storage_backup_spec`, which reads a node and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from exhausters.engine.api import HostListener
from exhausters.engine.sglang.transfer_queues import open_queues
from exhausters.engine.sglang.tree import full_data
from exhausters.engine.wrap import wrap_calls
from exhausters.errors import AllocationShortError, ConservationError, WalkUnsupportedError

_SPEC = "build_storage_backup_spec"
# Numbers in a row that are no node, after which no further node is expected; few nodes come and go in a step.
_GAP = 64
# The same while slots are missing, before they are reported as lost.
_LONG_GAP = 4_096


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """Slots taken from the pool; `slots` is its own tensor."""

    slots: Any
    token_count: int


class SGLangHostPool:
    """`exhausters.engine.api.HostPool` over the host pool of a scheduler with HiCache."""

    def __init__(self, scheduler: Any) -> None:
        self._cache = scheduler.tree_cache
        self._controller = self._cache.cache_controller
        group = self._controller.mem_pool_host
        # A group of pools has one for the KV itself; before 0.5.20 there is only that one.
        anchor = getattr(group, "anchor_entry", None)
        self._pool = group if anchor is None else anchor.host_pool
        self._cached = _reader(self._cache)
        self._queues = open_queues(scheduler)
        self._taken_tokens = 0

    @property
    def page_size(self) -> int:
        """Tokens per page."""
        return int(self._pool.page_size)

    @property
    def total_tokens(self) -> int:
        """Tokens in all."""
        return int(self._pool.size)

    @property
    def is_write_back(self) -> bool:
        """Whether nodes are copied when they are evicted from the device."""
        return str(self._controller.write_policy) == "write_back"

    def available_tokens(self) -> int:
        """Free tokens."""
        return int(self._pool.available_size())

    def cached_tokens(self) -> int:
        """Tokens that nodes of the tree keep here, and those of retracted requests of a decode engine."""
        kept = 0 if self._queues is None else self._queues.backed_up_tokens()
        return kept + self._cached(self.total_tokens - self.available_tokens() - self._taken_tokens - kept)

    def has_copies_in_flight(self) -> bool:
        """Whether the cache has not looked at the end of a copy."""
        return bool(self._cache.ongoing_write_through or self._cache.ongoing_load_back)

    def take(self, tokens: int) -> object:
        """Take tokens; all or nothing."""
        available = self.available_tokens()
        slots = self._pool.alloc(tokens)
        if slots is None:
            raise AllocationShortError(
                f"wanted {tokens} host tokens, {type(self._pool).__name__} gave none of {available} "
                "available: it reports as available what it cannot allocate",
                wanted_tokens=tokens,
                given_tokens=0,
                available_tokens=available,
            )
        self._taken_tokens += len(slots)
        return _Taken(slots, len(slots))

    def give_back(self, taking: Any) -> None:
        """Free the slots of one taking."""
        available = self.available_tokens()
        if available + taking.token_count > self.total_tokens:
            raise ConservationError(
                f"{available} host tokens are free and {taking.token_count} held, of {self.total_tokens}: "
                "SGLang's cache was flushed while pages were held; release the pressure before a flush"
            )
        self._taken_tokens -= taking.token_count
        # The class's own: what is given back here was not evicted.
        type(self._pool).free(self._pool, taking.slots)

    def watch(self, listener: HostListener) -> Callable[[], None]:
        """Tell `listener` of backups, load-backs and frees."""

        def note_backup(slots: Any, _asked: Any) -> None:
            if slots is not None:
                listener.on_backup(len(slots))

        def note_load(slots: Any, _asked: Any) -> None:
            if slots is not None:
                listener.on_load_back(len(slots))

        def note_free(tokens: Any, _slots: Any) -> None:
            if tokens:
                listener.on_host_eviction(int(tokens))

        with ExitStack() as wrappers:
            wrappers.callback(wrap_calls(self._controller, "write", note_backup))
            wrappers.callback(wrap_calls(self._controller, "load", note_load))
            wrappers.callback(wrap_calls(self._pool, "free", note_free))
            return wrappers.pop_all().close


def open_host_pool(scheduler: Any) -> SGLangHostPool | None:
    """Return the host pool of a scheduler; None without HiCache."""
    controller = getattr(scheduler.tree_cache, "cache_controller", None)
    has_pool = getattr(controller, "mem_pool_host", None) is not None
    return SGLangHostPool(scheduler) if has_pool else None


def _reader(tree_cache: Any) -> Callable[[int], int]:
    """What adds up the tokens that nodes keep on the host, given those that are not free there."""
    core = getattr(tree_cache, "tree_core", None)
    owner = tree_cache if core is None else core
    try:
        has_nodes = owner.root_node is not None
    except (AttributeError, NotImplementedError):  # the Rust adapter has the name, and raises
        has_nodes = False
    if has_nodes:
        # Asked for at each count: a flush replaces the root.
        return lambda _used: _on_nodes(owner.root_node)
    if hasattr(core, _SPEC):
        return _ByNumber(core)
    raise WalkUnsupportedError(
        f"{type(tree_cache).__name__} (core {type(core).__name__}) has no root_node and no {_SPEC}: what it "
        "keeps on the host cannot be counted"
    )


def _on_nodes(root: Any) -> int:
    tokens = 0
    stack = list(root.children.values())
    while stack:
        node = stack.pop()
        kept = full_data(node).host_value
        if kept is not None:
            tokens += len(kept)
        stack.extend(node.children.values())
    return tokens


class _ByNumber:
    """Nodes of a core without a walk, by number: handed out one by one, never twice, as in `HandleTree`."""

    def __init__(self, core: Any) -> None:
        self._core = core
        self._root_id: int | None = None
        self._known: list[int] = []
        self._next_id = 0

    def __call__(self, used_tokens: int) -> int:
        """Add up; looks further for new nodes while fewer than `used_tokens` are found."""
        root_id = self._core.root_node_handle()
        if root_id != self._root_id:  # first count, or the cache was flushed
            self._root_id, self._known, self._next_id = root_id, [], root_id + 1
        kept = [(one, tokens) for one in self._known if (tokens := self._kept(one)) is not None]
        total = sum(tokens for _, tokens in kept)
        self._known = [one for one, _ in kept]
        number, missed = self._next_id, 0
        while missed < (_GAP if total >= used_tokens else _LONG_GAP):
            tokens = self._kept(number)
            missed = missed + 1 if tokens is None else 0
            number += 1
            if tokens is not None:
                total += tokens
                self._known.append(number - 1)
                self._next_id = number
        return total

    def _kept(self, node_id: int) -> int | None:
        """Tokens that a node keeps on the host; None when there is no such node."""
        try:
            spec = getattr(self._core, _SPEC)(node_id, False)
        except KeyError:
            return None
        return 0 if spec is None or spec.host_value is None else len(spec.host_value)
