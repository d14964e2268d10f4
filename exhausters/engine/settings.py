"""How one scheduler is booted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The null models, by name: a dense decoder, and one with a sliding-window layer beside a full one.
MODELS = ("dense", "hybrid_swa")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """How one scheduler is booted.

    Attributes:
        engine: keywords for SGLang's `ServerArgs`, as a user of SGLang writes them.
        clock: `virtual` (strictly increasing, reproducible) or `real`.
        model: one of `MODELS`.
        emitted_token: the token id that the null model emits for every request and step.
        tree_core: `python`, `rust`, or `default` (the target decides).
        switches: further keywords, of which this SGLang must have each and take its value.
        environment: further environment variables for the worker, e.g. switches of the engine.
        record_boot: record the lines of the engine that the boot executes; it then takes longer.
        memory_limit_bytes: address-space limit of the worker; None for no limit.
    """

    engine: Mapping[str, Any] = field(default_factory=dict)
    switches: Mapping[str, Any] = field(default_factory=dict)
    clock: str = "virtual"
    model: str = "dense"
    emitted_token: int = 5
    tree_core: str = "default"
    environment: Mapping[str, str] = field(default_factory=dict)
    record_boot: bool = False
    memory_limit_bytes: int | None = None
