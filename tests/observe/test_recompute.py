"""Which prefill tokens were known before: hand-made cases, and a slow double that remembers everything."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from exhausters.observe.recompute import ComputedPrefixes


def _prefixes(page_size: int, **sequences: list[int]) -> ComputedPrefixes:
    return ComputedPrefixes(
        {rid: array("q", tokens) for rid, tokens in sequences.items()}, page_size=page_size
    )


def test_first_time_is_not_recomputed() -> None:
    """Tokens that nobody had computed are no recompute, whatever was found cached below them."""
    prefixes = _prefixes(4, a=list(range(20)))
    assert prefixes.prefill("a", cached=0, computed=10) == 0
    assert prefixes.prefill("a", cached=10, computed=10) == 0


def test_retraction_counts_every_token_of_the_request() -> None:
    """A retracted request computes again what it had, decoded tokens and a part of a page included."""
    prefixes = _prefixes(4, a=list(range(20)))
    prefixes.prefill("a", cached=0, computed=10)
    prefixes.decode("a")  # 11 tokens
    # The cache kept its first 4; the 12th token is the next one to be emitted from.
    assert prefixes.prefill("a", cached=4, computed=8) == 7
    # All 12 are its own by now, and would all be computed again.
    assert prefixes.prefill("a", cached=0, computed=12) == 12


def test_shared_prefix_counts_whole_pages_only() -> None:
    """Another request's prefix is known up to its last full page, since only full pages can be cached."""
    prefixes = _prefixes(4, a=[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], b=[1, 2, 3, 4, 5, 6, 7, 8, 9, 99])
    prefixes.prefill("a", cached=0, computed=10)
    assert prefixes.prefill("b", cached=0, computed=10) == 8


def test_a_hit_is_not_a_recompute() -> None:
    """What is found in the cache is not computed, and so not computed again."""
    prefixes = _prefixes(4, a=list(range(8)), b=[*range(8), 50, 51])
    prefixes.prefill("a", cached=0, computed=8)
    assert prefixes.prefill("b", cached=8, computed=2) == 0


def test_evicted_prefix_of_a_warm_up() -> None:
    """What the warm-up computed is known: a run that does not find it any more computes it again."""
    prefixes = _prefixes(4, warm=list(range(9)), a=[*range(8), 70, 71])
    prefixes.add_all(["warm"])
    assert prefixes.prefill("a", cached=4, computed=6) == 4


def test_equal_pages_below_another_prefix_are_another_prefix() -> None:
    """A page is known only together with all the pages before it."""
    prefixes = _prefixes(2, a=[1, 2, 3, 4], b=[9, 9, 3, 4])
    prefixes.prefill("a", cached=0, computed=4)
    assert prefixes.prefill("b", cached=0, computed=4) == 0


def test_outputs_are_part_of_the_prefix() -> None:
    """The next turn of a conversation repeats the answer before it, which a decode had computed."""
    prefixes = _prefixes(2, first=[1, 2, 5, 5, 5, 5], second=[1, 2, 5, 5, 5, 5, 8, 9])
    prefixes.prefill("first", cached=0, computed=2)
    for _ in range(3):
        prefixes.decode("first")
    assert prefixes.prefill("second", cached=0, computed=8) == 4  # 5 tokens known, 2 full pages


def test_without_sequences_only_the_own_past_is_known() -> None:
    """A request whose tokens are unknown still counts what it computed itself."""
    prefixes = _prefixes(4)
    assert prefixes.prefill("a", cached=0, computed=6) == 0
    assert prefixes.prefill("a", cached=2, computed=6) == 4


class _SlowDouble:
    """Keeps every computed prefix as a tuple, full pages for all and every length for its own request."""

    def __init__(self, sequences: dict[str, list[int]], page_size: int) -> None:
        self._sequences = sequences
        self._page = page_size
        self._shared: set[tuple[int, ...]] = set()
        self._own: dict[str, int] = {}

    def prefill(self, rid: str, cached: int, computed: int) -> int:
        tokens, page = self._sequences[rid], self._page
        again = 0
        for position in range(cached, cached + computed):
            page_end = (position // page + 1) * page
            in_known_page = page_end <= len(tokens) and all(
                tuple(tokens[:end]) in self._shared for end in range(page, page_end + 1, page)
            )
            again += position < self._own.get(rid, 0) or in_known_page
        self._compute(rid, cached + computed)
        return again

    def decode(self, rid: str) -> None:
        self._compute(rid, self._own.get(rid, 0) + 1)

    def _compute(self, rid: str, length: int) -> None:
        self._own[rid] = max(length, self._own.get(rid, 0))
        tokens = self._sequences[rid][:length]
        for end in range(self._page, len(tokens) + 1, self._page):
            self._shared.add(tuple(tokens[:end]))


@st.composite
def _histories(draw: st.DrawFn) -> tuple[int, dict[str, list[int]], list[tuple[str, str, int, int]]]:
    """Requests over two token ids, so that prefixes meet, and prefills and decodes of them in any order."""
    page_size = draw(st.integers(1, 3))
    rids = "abc"
    tokens = st.lists(st.integers(0, 1), min_size=1, max_size=9)
    sequences = {rid: draw(tokens) for rid in rids}
    events = []
    for _ in range(draw(st.integers(1, 12))):
        rid = draw(st.sampled_from(rids))
        if draw(st.booleans()):
            events.append(("decode", rid, 0, 0))
            continue
        cached = draw(st.integers(0, len(sequences[rid]) - 1))
        events.append(("prefill", rid, cached, draw(st.integers(1, len(sequences[rid]) - cached))))
    return page_size, sequences, events


@given(_histories())
def test_agrees_with_the_slow_double(
    history: tuple[int, dict[str, list[int]], list[tuple[str, str, int, int]]],
) -> None:
    """For any sequence of prefills and decodes the count is that of a set of all prefixes ever computed."""
    page_size, sequences, events = history
    ours, double = _prefixes(page_size, **sequences), _SlowDouble(sequences, page_size)
    for kind, rid, cached, computed in events:
        if kind == "decode":
            ours.decode(rid)
            double.decode(rid)
        else:
            assert ours.prefill(rid, cached=cached, computed=computed) == double.prefill(
                rid, cached, computed
            )
