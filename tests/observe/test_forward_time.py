"""Forward-time models turn the shape of a batch into whole nanoseconds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exhausters.observe.forward_time import ConstantForwardTime, ForwardShape, LinearForwardTime

_counts = st.integers(0, 100_000)
_shapes = st.builds(ForwardShape, prefill_tokens=_counts, decode_requests=_counts, kv_tokens_read=_counts)


@given(_shapes)
def test_constant(shape: ForwardShape) -> None:
    """Every forward takes the given time."""
    assert ConstantForwardTime(seconds=0.25).forward_ns(shape) == 250_000_000


def test_linear_by_hand() -> None:
    """Base plus the price of each prefill token, decoding request and KV token read."""
    model = LinearForwardTime(base_ns=1000, prefill_token_ns=100, decode_request_ns=10, kv_token_read_ns=1)
    shape = ForwardShape(prefill_tokens=2, decode_requests=3, kv_tokens_read=4)
    assert model.forward_ns(shape) == 1000 + 200 + 30 + 4


def test_linear_default_proportions() -> None:
    """The defaults are as documented: about 50 ms a chunk of 2,048 tokens, 12 ms a decode of 64 requests."""
    model = LinearForwardTime()
    chunk = ForwardShape(prefill_tokens=2048, decode_requests=0, kv_tokens_read=2048)
    decode = ForwardShape(prefill_tokens=0, decode_requests=64, kv_tokens_read=64 * 1500)
    assert 45e6 < model.forward_ns(chunk) < 55e6
    assert 10e6 < model.forward_ns(decode) < 14e6


@given(_shapes, _shapes)
def test_linear_is_exact_and_monotonic(one: ForwardShape, other: ForwardShape) -> None:
    """Times are integers, and more work never takes less time."""
    model = LinearForwardTime()
    both = ForwardShape(
        prefill_tokens=one.prefill_tokens + other.prefill_tokens,
        decode_requests=one.decode_requests + other.decode_requests,
        kv_tokens_read=one.kv_tokens_read + other.kv_tokens_read,
    )
    assert isinstance(model.forward_ns(one), int)
    assert model.forward_ns(both) >= model.forward_ns(one)


def test_names_carry_a_version() -> None:
    """A record tells the model and its version, so that other models' times are not compared."""
    assert ConstantForwardTime().name == "constant/1"
    assert LinearForwardTime().name == "linear/1"
