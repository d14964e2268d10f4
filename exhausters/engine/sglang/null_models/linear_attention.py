"""The null models under the name of an architecture that SGLang knows to have linear-attention layers.

SGLang decides by the name which strategy it caches recurrent states with, and whether the overlap loop and
pages above one token go with it. The external package takes the place of SGLang's own class of that name.
"""

from __future__ import annotations

from typing import Any

from sglang.srt.layers.logits_processor import LogitsProcessorOutput

from exhausters.engine.sglang.null_models.canary import CanaryForCausalLM
from exhausters.engine.sglang.null_models.dense import NullForCausalLM


class Qwen3NextForCausalLM(CanaryForCausalLM):
    """The canary where the configuration asks for it (`null_canary`), else one fixed token."""

    def forward(
        self, input_ids: Any, positions: Any, forward_batch: Any, *args: Any, **keywords: Any
    ) -> LogitsProcessorOutput:
        """Return next-token logits of shape (batch size, vocabulary)."""
        is_canary = getattr(self.config, "null_canary", False)
        kind = CanaryForCausalLM if is_canary else NullForCausalLM
        return kind.forward(self, input_ids, positions, forward_batch, *args, **keywords)


EntryClass = Qwen3NextForCausalLM
