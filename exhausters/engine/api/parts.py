"""The scarce resources of an engine, each with its own pool, and its prefix tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from exhausters.engine.api.records import NodeView


class TokenPool(Protocol):
    """A pool of tokens that is given out in whole pages."""

    @property
    def page_size(self) -> int:
        """Tokens per page."""

    @property
    def total_tokens(self) -> int:
        """Tokens in all."""

    def available_tokens(self) -> int:
        """Tokens that can be taken now, whole pages."""

    def take(self, tokens: int) -> object:
        """Take free pages, all or nothing, and return what `give_back` wants.

        Args:
            tokens: a multiple of the page size, >= 1.

        Raises:
            AllocationShortError: the pool gave less than it reported; it got that back.
        """

    def give_back(self, taking: object) -> None:
        """Return one taking.

        Raises:
            ConservationError: the pages are free already, because the pool was flushed meanwhile.
        """


class KvPool(TokenPool, Protocol):
    """The KV pages that requests are given.

    Of a hybrid model those of the full-attention layers: what is taken is taken of the window's pool too, and
    what is available is the smaller of both.
    """

    @property
    def window_total_tokens(self) -> int | None:
        """Tokens of a hybrid model's sliding-window pool; None without one, or where it has no fixed size."""


class HostListener(Protocol):
    """Receives what moves between the two tiers of the cache while it is watched; plain arguments."""

    def on_backup(self, tokens: int) -> None:
        """Tokens of a node are copied to the host."""

    def on_load_back(self, tokens: int) -> None:
        """Tokens that were on the host alone are copied back, for a request that is being admitted."""

    def on_host_eviction(self, tokens: int) -> None:
        """The cache has freed tokens on the host."""


class HostPool(TokenPool, Protocol):
    """The pages of the cache's second tier, in host memory (SGLang: HiCache)."""

    @property
    def is_write_back(self) -> bool:
        """Whether nodes are copied when they are evicted from the device, which then waits for the copy."""

    def cached_tokens(self) -> int:
        """Tokens that nodes of the tree keep here, on the device as well or not; O(nodes).

        Raises:
            WalkUnsupportedError: the nodes cannot be found.
        """

    def has_copies_in_flight(self) -> bool:
        """Whether the cache still holds locks for copies that it has not seen the end of."""

    def watch(self, listener: HostListener) -> Callable[[], None]:
        """Tell `listener` what moves; returns what ends that, harmless when repeated.

        Raises:
            SeamError: the engine has no such method; nothing stays wrapped.
        """


class WindowPool(TokenPool, Protocol):
    """The KV tokens of a hybrid model's sliding-window layers, taken apart from those of the full ones."""


class MambaListener(Protocol):
    """Receives what happens to cached states while they are watched."""

    def on_mamba_eviction(self, slots: int) -> None:
        """An eviction has freed the slots of so many cached states."""


class MambaPool(Protocol):
    """The slots of recurrent states of a model with linear attention (mamba).

    Each request that runs has one or a few, and each cached state one.
    """

    @property
    def total_slots(self) -> int:
        """Slots in all."""

    def available_slots(self) -> int:
        """Slots that can be taken now."""

    def take(self, slots: int) -> object:
        """Take free slots, all or nothing, and return what `give_back` wants.

        Args:
            slots: >= 1.

        Raises:
            AllocationShortError: the pool gave less than it reported; it got that back.
        """

    def give_back(self, taking: object) -> None:
        """Return one taking.

        Raises:
            ConservationError: the slots are free already, because the pool was flushed meanwhile.
        """

    def watch(self, listener: MambaListener) -> Callable[[], None]:
        """Tell `listener` what evictions free; returns what ends that, harmless when repeated.

        Raises:
            SeamError: the engine has no such method; nothing stays wrapped.
        """


class AdapterListener(Protocol):
    """Receives what is put into the adapter slots while they are watched; plain arguments."""

    def on_adapter_load(self) -> None:
        """An adapter, or the base model, was put into a slot."""


class AdapterSlots(Protocol):
    """The slots of adapters of a model's weights (SGLang: LoRA): a batch needs one for each that it names.

    The base model, for requests that name no adapter, needs a slot as an adapter does.
    """

    @property
    def total_slots(self) -> int:
        """Slots in all."""

    @property
    def never_taken_slots(self) -> int:
        """Slots that the engine lets nobody keep."""

    def free_slots(self) -> int:
        """Slots that no running request needs and nobody keeps, whatever is in them."""

    def empty_slots(self) -> int:
        """Slots with nothing in them."""

    def resident_adapters(self) -> int:
        """Adapters in a slot that the harness did not put there, with the base model."""

    def take(self, count: int) -> object:
        """Keep slots, all or nothing.

        Raises:
            AllocationShortError: the engine refused; it got back what it had given.
        """

    def give_back(self, taking: object) -> None:
        """Return one taking."""

    def watch(self, listener: AdapterListener) -> Callable[[], None]:
        """Tell `listener` of each load; returns what ends that, harmless when repeated.

        Raises:
            SeamError: the engine has no such method.
        """


class DraftListener(Protocol):
    """Receives what happens to draft tokens while they are watched; plain arguments."""

    def on_verified(self, emitted: tuple[int, ...]) -> None:
        """A decode has verified the drafts of each of its requests: the tokens that each emits, >= 1."""

    def on_kv_taken(self, tokens: int) -> None:
        """KV tokens were allocated for a decode."""

    def on_kv_returned(self, tokens: int) -> None:
        """A request gives up its row: KV tokens that it had for outputs that it has not, whole pages."""


class Drafts(Protocol):
    """The drafts of an engine that decodes speculatively."""

    @property
    def verified_tokens(self) -> int:
        """Tokens of each request that a decode computes: its newest one and the drafts behind it."""

    @property
    def tokens_per_decode(self) -> int:
        """KV tokens that one request may take for a decode, at most."""

    def reserved_tokens(self, requests: Sequence[Any]) -> int:
        """Return the KV tokens that requests (in the engine's own form) hold beyond those that are final."""

    def watch(self, listener: DraftListener) -> Callable[[], None]:
        """Tell `listener` what happens; returns what ends that, harmless when repeated.

        Raises:
            SeamError: the engine has no such method; nothing stays wrapped.
        """


class RowPool(Protocol):
    """The request rows: each running request owns one."""

    @property
    def total_rows(self) -> int:
        """Rows in all."""

    def available_rows(self) -> int:
        """Rows that are free now."""

    def take(self, count: int) -> Sequence[int]:
        """Take free rows, all or nothing.

        Raises:
            AllocationShortError: the pool gave less than it reported; it got that back.
        """

    def give_back(self, rows: Sequence[int]) -> None:
        """Return the rows of one taking.

        Raises:
            ConservationError: more rows would be free than there are, because the pool was flushed meanwhile.
        """


class PrefixTree(Protocol):
    """The radix cache of computed prefixes, whose unlocked nodes can be evicted."""

    @property
    def is_disabled(self) -> bool:
        """Whether nothing is cached; `walk` then finds no node."""

    @property
    def page_size(self) -> int:
        """Tokens per page; every node holds whole pages."""

    @property
    def tells_locks(self) -> bool:
        """Whether `walk` gives exact lock counts at a cost of O(nodes)."""

    def evictable_tokens(self) -> int | None:
        """Tokens of unlocked nodes; None where the cache has one count per component."""

    def walk(self) -> list[NodeView]:
        """All nodes but the root, parents before children, in the engine's own order; O(nodes).

        Raises:
            WalkUnsupportedError: the tree cannot be walked.
        """

    def lock_ref(self, handle: object) -> int:
        """Locks on one node now; 0 for None and for a node that is gone."""

    def pin(self, view: NodeView) -> object | None:
        """Lock a node and its path as a running request would.

        Returns:
            What `unpin` wants; None when that locked nothing, and then nothing is held.
        """

    def unpin(self, handle: object, receipt: object) -> None:
        """Give one pin back, with the node's handle and its receipt."""
