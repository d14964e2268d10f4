"""How one scheduler is booted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exhausters.workloads.emitted import DEFAULT_TEXT, CanaryText, EmittedText, FixedToken

# The null models, by name: a dense decoder, one with a sliding-window layer beside a full one, and one with
# linear-attention layers beside a full one, which emit one fixed token; and the same three with a text that
# depends on what the page table, and the slot of a request, lead to.
MODELS = ("dense", "hybrid_swa", "canary", "canary_hybrid_swa", "hybrid_mamba", "canary_hybrid_mamba")
CANARIES = ("canary", "canary_hybrid_swa", "canary_hybrid_mamba")
# Those whose requests each take slots of a pool of recurrent states.
MAMBA_MODELS = ("hybrid_mamba", "canary_hybrid_mamba")


def emitted_text(model: str, emitted_token: int) -> EmittedText:
    """Return what a null model emits: the text of the canaries, else `emitted_token` for ever."""
    return CanaryText() if model in CANARIES else FixedToken(emitted_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """How one scheduler is booted.

    Attributes:
        engine: keywords for SGLang's `ServerArgs`, as a user of SGLang writes them.
        clock: `virtual` (strictly increasing, reproducible) or `real`.
        model: one of `MODELS`.
        emitted_token: the token id that a null model emits for every request and step; a canary has a text.
        tree_core: `python`, `rust`, or `default` (the target decides).
        switches: further keywords, of which this SGLang must have each and take its value.
        environment: further environment variables for the worker, e.g. switches of the engine.
        speculative_accept: which drafts of a speculative worker are right, as `exhausters.engine.acceptance`
            reads it; empty for its default.
        record_boot: record the lines of the engine that the boot executes; it then takes longer.
        memory_limit_bytes: address-space limit of the worker; None for no limit.
    """

    engine: Mapping[str, Any] = field(default_factory=dict)
    switches: Mapping[str, Any] = field(default_factory=dict)
    clock: str = "virtual"
    model: str = "dense"
    emitted_token: int = DEFAULT_TEXT.token
    tree_core: str = "default"
    environment: Mapping[str, str] = field(default_factory=dict)
    speculative_accept: str = ""
    record_boot: bool = False
    memory_limit_bytes: int | None = None

    @property
    def text(self) -> EmittedText:
        """What the null model emits."""
        return emitted_text(self.model, self.emitted_token)
