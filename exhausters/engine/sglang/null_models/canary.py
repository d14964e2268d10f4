"""A causal language model whose output is a hash of what each request's own page table leads to.

Each KV slot has a fingerprint of the token and position that a forward wrote there; with HiCache it is in the
KV buffer itself, and SGLang's own copies between device and host carry it along. A wrong page, a page that
was given to another request, an overwritten slot or a wrong token changes the text of the request that reads
it, and so does a recurrent state that is not the one after its tokens (`canary_states`). What the text is
without any of these says `exhausters.workloads.emitted.CanaryText`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from sglang.srt.layers.logits_processor import LogitsProcessorOutput

from exhausters.engine.sglang.host_pool import open_host_pool
from exhausters.engine.sglang.mamba_pool import has_slots
from exhausters.engine.sglang.null_models.canary_states import CanaryStates
from exhausters.engine.sglang.null_models.dense import OTHER_LOGIT, NullForCausalLM
from exhausters.workloads.emitted import FIRST_CANARY_TOKEN, canary_token, fingerprint, weight

# Of a slot that nothing was written to; no token has it.
_UNWRITTEN = -1


class CanaryForCausalLM(NullForCausalLM):
    """Writes fingerprints to `out_cache_loc`, and reads them by the page tables.

    Attributes:
        scheduler: the scheduler of this process, from which page tables and the size of the pool are read;
            set before the first forward.
    """

    scheduler: ClassVar[Any] = None

    def __init__(self, config: Any, quant_config: Any = None, prefix: str = "") -> None:
        super().__init__(config, quant_config, prefix)
        self._pools: _Pools | None = None

    @torch.no_grad()
    def forward(
        self, input_ids: Any, positions: Any, forward_batch: Any, *args: Any, **keywords: Any
    ) -> LogitsProcessorOutput:
        """Return next-token logits of shape (batch size, vocabulary)."""
        if self._pools is None:
            self._pools = self.open_pools()
        tokens = self._pools.next_tokens(input_ids, positions, forward_batch)
        logits = torch.full((forward_batch.batch_size, self.config.vocab_size), OTHER_LOGIT)
        logits.scatter_(1, tokens.unsqueeze(1), 0.0)
        if not getattr(forward_batch, "return_logprob", False):
            return LogitsProcessorOutput(next_token_logits=logits)
        output = super().forward(input_ids, positions, forward_batch, *args, **keywords)
        output.next_token_logits = logits
        return output

    def open_pools(self) -> _Pools:
        """The fingerprints of this process's scheduler, none of them written."""
        return _Pools(type(self).scheduler, window_tokens=_window_tokens(self.config))

    def tokens_behind_drafts(self, input_ids: Any, positions: Any, forward_batch: Any) -> torch.Tensor:
        """Write the drafts of a batch, and return the token behind each, shape (tokens,), int64."""
        assert self._pools is not None, "drafts come after a prefill"
        return self._pools.tokens_behind_drafts(input_ids, positions, forward_batch)


def _window_tokens(config: Any) -> int:
    """Tokens before the newest one that a sliding-window layer reads with it; 0 without such a layer."""
    return int(config.sliding_window) - 1 if getattr(config, "is_hybrid_swa", False) else 0


class _Pools:
    """Fingerprints by KV slot, in the full pool and, of a hybrid model, in the window pool."""

    def __init__(self, scheduler: Any, *, window_tokens: int) -> None:
        self._tables = scheduler.req_to_token_pool
        self._allocator = scheduler.token_to_kv_pool_allocator
        page = int(scheduler.page_size)
        self._window_tokens = window_tokens
        full = int(self._allocator.size_full if window_tokens else self._allocator.size)
        has_copies = open_host_pool(scheduler) is not None
        buffers = self._allocator.get_kvcache()
        if not has_copies:
            self._full = _unwritten(full + page)
            self._window = _unwritten(int(self._allocator.size_swa) + page) if window_tokens else None
        elif window_tokens:
            self._full, self._window = _in_buffer(buffers.full_kv_pool), _in_buffer(buffers.swa_kv_pool)
        else:
            self._full, self._window = _in_buffer(buffers), None
        self._states = CanaryStates(scheduler) if has_slots(scheduler) else None
        self._places = torch.arange(self._tables.req_to_token.shape[1] + 1)
        self._weights = weight(self._places)

    def next_tokens(self, input_ids: Any, positions: Any, batch: Any) -> torch.Tensor:
        """Write what the batch computes, then read all that each of its requests attends to.

        Returns:
            A token for each request, shape (batch size,), int64.
        """
        lengths = batch.seq_lens.long()
        if not len(lengths):
            return torch.full((batch.batch_size,), FIRST_CANARY_TOKEN)
        written = fingerprint(input_ids.long(), positions.long())
        self._full[batch.out_cache_loc] = written
        longest = int(lengths.max())
        table = self._tables.req_to_token[batch.req_pool_indices, :longest]
        read = self._full[table]
        is_inside = self._places[:longest] < lengths.unsqueeze(1)
        total = (read * self._weights[:longest] * is_inside).sum(1)
        if self._states is not None:
            sums = (read * self._weights[:longest]).cumsum(1)
            total += self._states.go_on(batch, sums, lengths)
        if self._window is not None:
            self._window[self._in_window(batch.out_cache_loc)] = written
            total += self._differences(table, read, lengths)
        return canary_token(total, lengths)

    def tokens_behind_drafts(self, input_ids: Any, positions: Any, batch: Any) -> torch.Tensor:
        """Write the drafts of each request, a chain behind its `seq_lens` tokens, and read up to each.

        Returns:
            A token for each draft, shape (drafts,), int64.
        """
        lengths = batch.seq_lens.long()
        written = fingerprint(input_ids.long(), positions.long())
        self._full[batch.out_cache_loc] = written
        places = positions.long().view(len(lengths), -1)
        longest = int(places.max()) + 1
        table = self._tables.req_to_token[batch.req_pool_indices, :longest]
        read = self._full[table]
        total = (read * self._weights[:longest]).cumsum(1).gather(1, places)
        if self._window is not None:
            self._window[self._in_window(batch.out_cache_loc)] = written
            wrong = [self._differences(table, read, places[:, draft] + 1) for draft in range(places.shape[1])]
            total += torch.stack(wrong, 1)
        return canary_token(total, places + 1).flatten()

    def _differences(self, table: torch.Tensor, read: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Per request, slots within its window whose two layers do not hold the same: 0 if all is well."""
        assert self._window is not None
        places = self._places[: table.shape[1]]
        ends = lengths.unsqueeze(1)
        is_near = (places < ends) & (places >= ends - 1 - self._window_tokens)
        return ((self._window[self._in_window(table)] != read) & is_near).sum(1)

    def _in_window(self, slots: torch.Tensor) -> torch.Tensor:
        """The window slots of full slots."""
        found: torch.Tensor = self._allocator.translate_loc_from_full_to_swa(slots)
        return found.long()


def _in_buffer(pool: Any) -> torch.Tensor:
    """One number for each slot of a KV pool, in the keys of its layer, shape (slots,); all unwritten."""
    keys = pool.k_buffer[0]
    # The null models' heads are eight numbers of 32 bits wide: room for four of 64.
    slots: torch.Tensor = keys.view(torch.int64)[:, 0, 0]
    slots.fill_(_UNWRITTEN)
    return slots


def _unwritten(slots: int) -> torch.Tensor:
    return torch.full((slots,), _UNWRITTEN, dtype=torch.int64)


EntryClass = CanaryForCausalLM
