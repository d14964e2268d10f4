"""How long the KV of a request is on its way from a prefill to a decode engine, in modelled time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferTime:
    """One link, which carries one transfer after the other; a lower bound.

    Attributes:
        bytes_per_second: what the link carries; 50 GB/s are one network port of 400 Gbit/s.
        bytes_per_token: keys and values of a token; those of Llama 3.1 8B in 16 bit, 32 layers, by default.
    """

    bytes_per_second: float = 50e9
    bytes_per_token: int = 131_072

    @property
    def name(self) -> str:
        """What records keep of it."""
        return f"transfer/1:{self.bytes_per_token}B/token@{self.bytes_per_second / 1e9:g}GB/s"

    def transfer_ns(self, tokens: int) -> int:
        """Nanoseconds for the KV of so many tokens."""
        return round(tokens * self.bytes_per_token / self.bytes_per_second * 1e9)
