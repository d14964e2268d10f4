"""The scripts of right drafts: what each says, and that nothing but request and place decides."""

from __future__ import annotations

import pytest

from exhausters.engine.acceptance import parse_acceptance
from exhausters.errors import UsageError


def _rounds(text: str, *, rid: str = "a", drafts: int = 3, outputs: int = 40) -> list[int]:
    """Right drafts of the rounds of one request, one after the other."""
    script, place, found = parse_acceptance(text), 0, []
    while place < outputs:
        found.append(script.right_drafts(rid, place, drafts))
        place += found[-1] + 1
    return found


def test_constant_and_all() -> None:
    """A constant is the same in each round, and no more than there are drafts."""
    assert set(_rounds("all")) == set(_rounds("constant:7")) == {3}
    assert set(_rounds("constant:0")) == {0}
    assert set(_rounds("constant:2")) == {2}


def test_a_trace_is_followed_round_by_round() -> None:
    """Rounds take the list from its start to its end, again and again, cut to the drafts that there are."""
    assert _rounds("trace:0,3,1", outputs=14) == [0, 3, 1, 0, 3, 1]
    assert _rounds("trace:0,9,1", outputs=14) == [0, 3, 1, 0, 3, 1]


def test_a_trace_goes_on_from_any_place() -> None:
    """Where no round of the list begins, the next one of the list is taken."""
    script = parse_acceptance("trace:0,3,1")
    assert [script.right_drafts("a", place, 3) for place in range(8)] == [0, 3, 1, 1, 1, 1, 0, 0]


def test_draws_have_their_rate_and_depend_on_seed_and_request() -> None:
    """Of many drafts about the rate is right; another seed or request draws others; a draw never changes."""
    script = parse_acceptance("random:7,0.6")
    firsts = [script.right_drafts("a", place, 1) for place in range(4_000)]
    assert 0.57 < sum(firsts) / len(firsts) < 0.63
    assert _rounds("random:7,0.6") == _rounds("random:7,0.6")
    assert _rounds("random:7,0.6") != _rounds("random:8,0.6")
    assert _rounds("random:7,0.6") != _rounds("random:7,0.6", rid="b")
    # A draft is right or wrong wherever its round begins.
    for place in range(100):
        right = script.right_drafts("a", place, 3)
        if right:
            assert script.right_drafts("a", place + 1, 3) >= right - 1


@pytest.mark.parametrize(
    "text", ["", "some", "all:1", "constant:", "constant:-1", "random:1", "random:1,1.5", "trace:"]
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    """A text that names no script is a typed error that says what is expected."""
    with pytest.raises(UsageError, match=r"expected all, constant:N .* trace:N,N"):
        parse_acceptance(text)
