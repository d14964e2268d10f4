"""Which prefill tokens any request had computed before: the recompute tax."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from types import MappingProxyType

_NO_TOKENS = array("q")
_NOBODY: Mapping[str, str] = MappingProxyType({})


class ComputedPrefixes:
    """Remembers every page-aligned prefix that was ever computed, as a cache without end would.

    A prefill token counts as recomputed when its request had computed it before (it was retracted), or when
    it lies in a full page whose whole prefix somebody had computed before (it was evicted, or two requests
    computed it side by side). Only full pages can be shared, because SGLang caches only those.
    """

    def __init__(
        self,
        sequences: Mapping[str, array[int]],
        *,
        page_size: int,
        adapters: Mapping[str, str] = _NOBODY,
    ) -> None:
        """Follow the requests of `sequences`: prompt and outputs, token ids, by request id.

        Those of `adapters` share with those of the same adapter alone.
        """
        self._sequences = sequences
        numbers = {name: place for place, name in enumerate(dict.fromkeys(adapters.values()), start=1)}
        self._apart = {rid: numbers[name] for rid, name in adapters.items()}
        self._page = page_size
        self._known: set[int] = set()
        self._keys: dict[str, list[int]] = {}
        # Tokens of each request that it had computed itself, and pages of it that are known.
        self._own: dict[str, int] = {}
        self._registered: dict[str, int] = {}

    def add_all(self, rids: Iterable[str]) -> None:
        """Take whole sequences as computed (a warm-up)."""
        for rid in rids:
            self._extend(rid, len(self._sequences[rid]))

    def prefill(self, rid: str, *, cached: int, computed: int) -> int:
        """Note a prefill of `computed` tokens on top of `cached`; return how many of them were recomputed."""
        known = max(self._own.get(rid, 0), self._known_tokens(rid))
        recomputed = max(0, min(known, cached + computed) - cached)
        self._extend(rid, cached + computed)
        return recomputed

    def decode(self, rid: str) -> None:
        """Note one decoded token."""
        self._extend(rid, self._own.get(rid, 0) + 1)

    def _extend(self, rid: str, length: int) -> None:
        if length <= self._own.get(rid, 0):
            return
        self._own[rid] = length
        pages = min(length // self._page, len(self._keys_of(rid)))
        before = self._registered.get(rid, 0)
        if pages > before:
            self._known.update(self._keys_of(rid)[before:pages])
            self._registered[rid] = pages

    def _known_tokens(self, rid: str) -> int:
        pages = 0
        for key in self._keys_of(rid):
            if key not in self._known:
                break
            pages += 1
        return pages * self._page

    def _keys_of(self, rid: str) -> list[int]:
        """A key for each full page of the sequence, which stands for the page and all before it."""
        keys = self._keys.get(rid)
        if keys is None:
            tokens, page = self._sequences.get(rid, _NO_TOKENS), self._page
            key = self._apart.get(rid, 0)
            keys = self._keys[rid] = []
            for start in range(0, len(tokens) - page + 1, page):
                # Tuples of integers hash alike in every process.
                key = hash((key, *tokens[start : start + page]))
                keys.append(key)
        return keys
