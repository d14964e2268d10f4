"""The double that the fast hit counts are checked against."""

from __future__ import annotations


class ReferenceRadix:
    """The slow, obvious infinite cache: the set of all prefixes, cut at page boundaries."""

    def __init__(self, page_size: int) -> None:
        self.page_size = page_size
        self.prefixes: set[bytes] = set()

    def insert(self, tokens: bytes) -> None:
        width = 8 * self.page_size
        self.prefixes.update(tokens[:end] for end in range(width, len(tokens) + 1, width))

    def match(self, tokens: bytes) -> int:
        """Tokens of the longest cached prefix."""
        width, end = 8 * self.page_size, 0
        while end + width <= len(tokens) and tokens[: end + width] in self.prefixes:
            end += width
        return end // 8
