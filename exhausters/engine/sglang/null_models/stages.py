"""The null models as stages of a pipeline: the last one emits, those before it pass on what SGLang sends."""

from __future__ import annotations

from typing import Any

import torch

from exhausters.engine.sglang.null_models.canary import CanaryForCausalLM
from exhausters.engine.sglang.null_models.dense import NullForCausalLM


class _Stage(NullForCausalLM):
    """One stage: a share of the layers, and of a forward what travels to the next stage or the logits.

    Attributes:
        start_layer, end_layer: its layers; SGLang sizes the KV pool by them.
    """

    def __init__(self, config: Any, quant_config: Any = None, prefix: str = "") -> None:
        super().__init__(config, quant_config, prefix)
        # Only now: every boot imports this module, and most have no stages.
        from sglang.srt.distributed.parallel_state import get_pp_group
        from sglang.srt.model_executor.forward_batch_info import PPProxyTensors

        group = get_pp_group()
        self._to_next_stage = PPProxyTensors
        self._is_last = bool(group.is_last_rank)
        share = config.num_hidden_layers // group.world_size
        self.start_layer = group.rank_in_group * share
        self.end_layer = self.start_layer + share

    @torch.no_grad()
    def forward(
        self,
        input_ids: Any,
        positions: Any,
        forward_batch: Any,
        *args: Any,
        pp_proxy_tensors: Any = None,
        **keywords: Any,
    ) -> Any:
        """Return next-token logits, or hidden states of shape (tokens, hidden size) for the next stage."""
        if self._is_last:
            return super().forward(input_ids, positions, forward_batch, *args, **keywords)
        hidden = torch.zeros(input_ids.shape[0], self.config.hidden_size)
        return self._to_next_stage({"hidden_states": hidden, "residual": hidden})


class NullStageForCausalLM(_Stage):
    """`NullForCausalLM` in stages."""


class CanaryStageForCausalLM(_Stage, CanaryForCausalLM):
    """`CanaryForCausalLM` in stages."""


EntryClass = [NullStageForCausalLM, CanaryStageForCausalLM]
