"""A forward-time model from first principles: whatever takes longer, computing or reading memory.

The roofline model (Williams, Waterman, Patterson, CACM 52(4), 2009) is a lower bound: kernels reach a part of
either roof. It orders schedules rightly where it matters here, since prefill is bound by compute and
decode by memory.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from exhausters.errors import UsageError
from exhausters.observe.forward_time import ForwardShape

_DATA = Path(__file__).with_name("roofline.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """What a dense decoder costs.

    Attributes:
        layers, hidden_size, heads, kv_heads, head_dim: its shape.
        parameters: how many.
        weight_bytes: bytes of all weights.
        kv_bytes_per_element: bytes of one number of the KV cache.
        source: where the numbers are from.
    """

    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    head_dim: int
    parameters: int
    weight_bytes: int
    kv_bytes_per_element: int
    source: str

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of keys and values of one token, over all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * self.kv_bytes_per_element


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What a device can do.

    Attributes:
        flops_per_second: floating-point operations, dense, in the weights' type.
        bytes_per_second: memory bandwidth.
        source: where the numbers are from.
    """

    flops_per_second: float
    bytes_per_second: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RooflineForwardTime:
    """The larger of compute time and memory time, and a fixed launch time."""

    model_name: str = "llama-3.1-8b"
    device_name: str = "h200"
    launch_ns: int = 200_000

    @property
    def name(self) -> str:
        """Name and version, with model and device."""
        return f"roofline/1:{self.model_name}@{self.device_name}"

    def forward_ns(self, shape: ForwardShape) -> int:
        """Modelled duration of one forward in nanoseconds.

        Compute: two operations a parameter and token, and four a head dimension for each pair of tokens that
        attend to each other. Memory: all weights once, and the KV of every token read.
        """
        model, device = load_model(self.model_name), load_device(self.device_name)
        tokens = shape.prefill_tokens + shape.decode_requests
        pair_flops = 4 * model.layers * model.heads * model.head_dim
        flops = 2 * model.parameters * tokens + pair_flops * shape.attended_pairs
        read_bytes = model.weight_bytes + model.kv_bytes_per_token * shape.kv_tokens_read
        seconds = max(flops / device.flops_per_second, read_bytes / device.bytes_per_second)
        return self.launch_ns + round(seconds * 1e9)


def load_model(name: str) -> ModelShape:
    """Return a model of `roofline.toml`; raises UsageError when it has none of that name."""
    return ModelShape(**_entry("model", name))


def load_device(name: str) -> Device:
    """Return a device of `roofline.toml`; raises UsageError when it has none of that name."""
    return Device(**_entry("device", name))


def _entry(table: str, name: str) -> dict[str, Any]:
    entries: dict[str, dict[str, Any]] = _read_data()[table]
    if name not in entries:
        raise UsageError(f"{table} {name!r}: expected one of {', '.join(sorted(entries))}")
    return entries[name]


@cache
def _read_data() -> dict[str, Any]:
    with _DATA.open("rb") as file:
        return tomllib.load(file)
