"""How long a forward takes on the virtual clock: named, versioned models that records refer to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardShape:
    """What a forward computes.

    Attributes:
        prefill_tokens: prompt tokens computed.
        decode_requests: requests that decode one token.
        kv_tokens_read: KV tokens that attention reads, over all requests of the batch.
        attended_pairs: pairs of a computed token and one it attends to, over all requests.
    """

    prefill_tokens: int
    decode_requests: int
    kv_tokens_read: int
    attended_pairs: int = 0


class ForwardTimeModel(Protocol):
    """Turns the shape of a forward into nanoseconds."""

    @property
    def name(self) -> str:
        """Name and version, e.g. `linear/1`."""

    def forward_ns(self, shape: ForwardShape) -> int:
        """Modelled duration of one forward in nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantForwardTime:
    """Every forward takes the same time, whatever it computes."""

    seconds: float = 0.010

    @property
    def name(self) -> str:
        """Name and version."""
        return "constant/1"

    def forward_ns(self, shape: ForwardShape) -> int:
        """The constant, in nanoseconds."""
        return round(self.seconds * 1e9)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearForwardTime:
    """A base time and a price for each prefill token, decoding request and KV token read.

    The default prices are those of no device; they keep the proportions a reader expects: a full chunk of
    2,048 tokens takes about 50 ms, a decode step of 64 requests about 12 ms.
    """

    base_ns: int = 5_000_000
    prefill_token_ns: int = 22_000
    decode_request_ns: int = 30_000
    kv_token_read_ns: int = 50

    @property
    def name(self) -> str:
        """Name and version."""
        return "linear/1"

    def forward_ns(self, shape: ForwardShape) -> int:
        """Base plus the three prices, in nanoseconds."""
        return (
            self.base_ns
            + self.prefill_token_ns * shape.prefill_tokens
            + self.decode_request_ns * shape.decode_requests
            + self.kv_token_read_ns * shape.kv_tokens_read
        )
