"""The null models of a speculative worker: targets that verify drafts, and a draft that follows a script.

Which drafts are accepted SGLang finds out by itself: the target emits its text behind each draft, and SGLang
compares. The draft alone is scripted: it proposes the text's next token where the script says right, and
another one where it says wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from sglang.srt.layers.logits_processor import LogitsProcessorOutput
from torch import nn

from exhausters.engine.sglang.draft_script import DraftScript
from exhausters.engine.sglang.null_models.canary import CanaryForCausalLM
from exhausters.engine.sglang.null_models.dense import OTHER_LOGIT, NullForCausalLM


def wants_every_token(forward_batch: Any) -> bool:
    """Whether each token of the batch is a draft, and has logits of its own."""
    mode = forward_batch.forward_mode
    return any(getattr(mode, name, bool)() for name in ("is_target_verify", "is_draft_extend_v2"))


def hidden_states(input_ids: Any, forward_batch: Any, logits: torch.Tensor, size: int) -> torch.Tensor | None:
    """Zeros where a draft model wants hidden states: of all tokens, or of each row of logits."""
    mode = getattr(forward_batch, "capture_hidden_mode", None)
    if mode is None or not mode.need_capture():
        return None
    return torch.zeros(int(input_ids.shape[0]) if mode.is_full() else len(logits), size)


class _Verifying(NullForCausalLM):
    """Adds logits behind each draft, and hidden states, to a null model."""

    @torch.no_grad()
    def forward(
        self, input_ids: Any, positions: Any, forward_batch: Any, *args: Any, **keywords: Any
    ) -> LogitsProcessorOutput:
        """Return logits of shape (batch size, vocabulary); of drafts (tokens, vocabulary)."""
        if wants_every_token(forward_batch):
            logits = self.logits_behind(input_ids, positions, forward_batch)
            output = LogitsProcessorOutput(next_token_logits=logits)
        else:
            output = super().forward(input_ids, positions, forward_batch, *args, **keywords)
        output.hidden_states = hidden_states(
            input_ids, forward_batch, output.next_token_logits, self.config.hidden_size
        )
        return output

    def logits_behind(self, input_ids: Any, _positions: Any, _forward_batch: Any) -> torch.Tensor:
        """Return logits behind each token, shape (tokens, vocabulary)."""
        return self.row.repeat(int(input_ids.shape[0]), 1)

    def get_embed_and_head(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What a draft model would share; the null draft uses neither."""
        return self.lm_head.weight, self.lm_head.weight


class VerifyingNullForCausalLM(_Verifying):
    """Emits one token for ever, behind each draft as well."""


class VerifyingCanaryForCausalLM(_Verifying, CanaryForCausalLM):
    """Hashes what the page table leads to, behind each draft as well."""

    def logits_behind(self, input_ids: Any, positions: Any, forward_batch: Any) -> torch.Tensor:
        """Return logits behind each token, shape (tokens, vocabulary)."""
        tokens = self.tokens_behind_drafts(input_ids, positions, forward_batch)
        logits = torch.full((len(tokens), self.config.vocab_size), OTHER_LOGIT)
        return logits.scatter_(1, tokens.unsqueeze(1), 0.0)


class DraftForCausalLM(nn.Module):
    """Proposes what `DraftScript.current` says."""

    def __init__(self, config: Any, quant_config: Any = None, prefix: str = "") -> None:
        super().__init__()
        self.config = config

    @torch.no_grad()
    def forward(
        self, input_ids: Any, positions: Any, forward_batch: Any, *_args: Any, **_keywords: Any
    ) -> LogitsProcessorOutput:
        """Return logits (rows, vocabulary): a row for each request, or each of its branches or drafts."""
        script = DraftScript.current
        assert script is not None, "a script is there from boot on"
        proposals = [script.proposal(*place) for place in _places(positions, forward_batch)]
        logits = torch.full((len(proposals), self.config.vocab_size), OTHER_LOGIT)
        for row, (proposed, right) in enumerate(proposals):
            # What is right must be no branch's either, where the script says wrong.
            logits[row, right] = 2 * OTHER_LOGIT
            logits[row, proposed] = 0.0
        hidden = hidden_states(input_ids, forward_batch, logits, self.config.hidden_size)
        return LogitsProcessorOutput(next_token_logits=logits, hidden_states=hidden)

    def set_embed_and_head(self, _embed: Any, _head: Any) -> None:
        """It shares nothing."""

    def load_weights(self, weights: Iterable[Any]) -> set[str]:
        """There are none."""
        return set()


def _places(positions: Any, forward_batch: Any) -> list[tuple[str, int, int]]:
    """For each row of logits: its request, the tokens before the round's newest one, and which draft it is.

    The draft model reads at each position the token that stands one further, as EAGLE's does: a row at
    position q proposes the token of position q + 2.
    """
    rids = forward_batch.rids
    if wants_every_token(forward_batch):
        # Behind what was just verified: the first draft of a round that may begin behind each token.
        each = len(positions) // len(rids)
        return [(rids[row // each], place + 1, 1) for row, place in enumerate(positions.tolist())]
    lengths = forward_batch.seq_lens.tolist()
    if not forward_batch.forward_mode.is_decode():
        return [(rid, length, 1) for rid, length in zip(rids, lengths, strict=True)]
    each = len(positions) // len(rids)
    return [
        (rids[row // each], lengths[row // each], place - lengths[row // each] + 2)
        for row, place in enumerate(positions.tolist())
    ]


EntryClass = [VerifyingNullForCausalLM, VerifyingCanaryForCausalLM, DraftForCausalLM]
