"""The fake engine's requests and batches, and what one retraction did."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from exhausters.engine.api import IDLE
from exhausters.engine.fake.page_trie import PageNode


@dataclass(eq=False, slots=True, kw_only=True)
class FakeRequest:
    """A request and what it holds.

    Attributes:
        pages: its KV pages; the first `tree_pages` of them belong to the prefix cache.
        computed_tokens: tokens whose KV is in those pages.
        row: its request row; None while it holds nothing.
        state_slot: its slot of a recurrent state, with a model that has such layers.
        node: the node of the prefix cache that it has locked.
    """

    rid: str
    prompt: array[int]
    max_new_tokens: int
    outputs: list[int] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    tree_pages: int = 0
    computed_tokens: int = 0
    row: int | None = None
    state_slot: int | None = None
    node: PageNode | None = None
    is_aborted: bool = False
    is_finished: bool = False

    @property
    def tokens(self) -> array[int]:
        """Prompt and outputs."""
        return self.prompt + array("q", self.outputs)


@dataclass(eq=False, slots=True, kw_only=True)
class FakeBatch:
    """Requests that run together."""

    mode: str = IDLE
    requests: list[FakeRequest] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    prefix_tokens: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retracted:
    """What one retraction did: tokens of their own that requests threw away, and requests given up."""

    own_tokens: dict[str, int]
    aborted: list[FakeRequest]
