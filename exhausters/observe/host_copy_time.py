"""How long copies between the two tiers of the cache take on the virtual clock."""

from __future__ import annotations

from dataclasses import dataclass

# One direction of PCIe 5.0 with 16 lanes: half of the 128 GB/s of NVIDIA's H200 datasheet.
_BYTES_PER_SECOND = 64e9
# Llama 3.1 8B in 16 bit, as in roofline.toml: keys and values of 32 layers of 8 heads of 128.
_LAYERS = 32
_BYTES_PER_TOKEN = 2 * _LAYERS * 8 * 128 * 2


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCopyTime:
    """Bytes over bandwidth, and what of it a step waits for.

    A forward computes its layers in order and each waits for its own load-back, as SGLang orders them: the
    first layer's copy is waited for in full, and then the slower of the two goes on. Of L layers, with F for
    the forward and C for the copy, the step takes max(F, C) + min(F, C) / L. Backups run beside the forward
    and nothing waits for them, but under write-back, where an eviction waits for the copy of what it evicts.
    Both are lower bounds, as a roofline is.

    Attributes:
        bytes_per_second: in one direction.
        bytes_per_token: keys and values of all layers.
        layers: how many layers are copied one by one.
    """

    bytes_per_second: float = _BYTES_PER_SECOND
    bytes_per_token: int = _BYTES_PER_TOKEN
    layers: int = _LAYERS

    @property
    def name(self) -> str:
        """Name and version, with the numbers."""
        per_second = round(self.bytes_per_second / 1e9, 3)
        return f"host_copy/1:{self.bytes_per_token}B/token@{per_second:g}GB/s"

    def copy_ns(self, tokens: int) -> int:
        """Nanoseconds that a copy of `tokens` tokens takes in one direction."""
        return round(tokens * self.bytes_per_token / self.bytes_per_second * 1e9)

    def load_back_wait_ns(self, tokens: int, forward_ns: int) -> int:
        """Nanoseconds by which loading `tokens` tokens back makes a forward of `forward_ns` longer."""
        if not tokens:
            return 0
        copy_ns = self.copy_ns(tokens)
        shorter, longer = sorted((forward_ns, copy_ns))
        return longer + shorter // self.layers - forward_ns
