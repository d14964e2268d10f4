"""A causal language model that emits one fixed token and computes nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from sglang.srt.layers.logits_processor import LogitsProcessor, LogitsProcessorOutput
from sglang.srt.layers.vocab_parallel_embedding import ParallelLMHead
from torch import nn

from exhausters.workloads.request import LOGIT_DISTANCE

# Far enough below the emitted token that sampling at any usual temperature never leaves it, near
# enough that log-probabilities stay finite.
OTHER_LOGIT = -LOGIT_DISTANCE


class NullForCausalLM(nn.Module):
    """Emits `config.null_emitted_token` for every sequence of every batch."""

    def __init__(self, config: Any, quant_config: Any = None, prefix: str = "") -> None:
        super().__init__()
        self.config = config
        self.emitted_token = int(getattr(config, "null_emitted_token", 5))
        self.lm_head = ParallelLMHead(config.vocab_size, config.hidden_size)
        self.logits_processor = LogitsProcessor(config)
        row = torch.full((1, config.vocab_size), OTHER_LOGIT, dtype=torch.float32)
        row[0, self.emitted_token] = 0.0
        self.register_buffer("row", row, persistent=False)

    @torch.no_grad()
    def forward(
        self, input_ids: Any, positions: Any, forward_batch: Any, *_args: Any, **_kwargs: Any
    ) -> LogitsProcessorOutput:
        """Return next-token logits of shape (batch size, vocabulary)."""
        # A copy of the row for each sequence: samplers write into the logits.
        logits = self.row.repeat(forward_batch.batch_size, 1)
        if not getattr(forward_batch, "return_logprob", False):
            return LogitsProcessorOutput(next_token_logits=logits)
        # Prompt log-probabilities are SGLang's own work: give it hidden states to do it with.
        hidden = torch.zeros(input_ids.shape[0], self.config.hidden_size)
        output = self.logits_processor(input_ids, hidden, self.lm_head, forward_batch)
        output.next_token_logits = logits
        return output

    def load_weights(self, weights: Iterable[Any]) -> set[str]:
        """There are none."""
        return set()


EntryClass = NullForCausalLM
