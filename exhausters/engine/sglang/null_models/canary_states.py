"""The canary's recurrent states: in each slot, what its request has read up to there."""

from __future__ import annotations

from typing import Any

import torch


class CanaryStates:
    """One number for each slot, in the tensor of the pool of states: SGLang's copies carry it.

    As a real layer does, a forward takes up the state that its request's slot holds, goes on from it, and
    leaves the state after its last token there. Under the strategies with an extra buffer it also writes the
    checkpoints that the batch asks for.
    """

    def __init__(self, scheduler: Any) -> None:
        self._pool = scheduler.req_to_token_pool
        temporal = self._pool.mamba_pool.mamba_cache.temporal
        # Of the first such layer; a slot of the null models has 64 numbers of 32 bits.
        slots: torch.Tensor = temporal[0].flatten(1).view(torch.int64)[:, 0]
        self._states = slots

    def go_on(self, batch: Any, sums: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Compare what slots hold with what they must, and write what they hold from now on.

        Args:
            batch: the forward batch.
            sums: what each request has read up to each of its places, shape (requests, places).
            lengths: tokens of each request after this forward, shape (requests,).

        Returns:
            1 for each request whose slot held another state than that of its tokens before, else 0; int64.
        """
        slots = self._pool.get_mamba_indices(batch.req_pool_indices).long()
        before = _lengths_before(batch, lengths)
        held = self._states[slots]
        is_wrong = (held != _up_to(sums, before)) & (before > 0)
        self._states[slots] = _up_to(sums, lengths)
        self._checkpoint(batch, sums, before, lengths)
        return is_wrong.long()

    def _checkpoint(
        self, batch: Any, sums: torch.Tensor, before: torch.Tensor, lengths: torch.Tensor
    ) -> None:
        mask, targets = (getattr(batch, name, None) for name in ("mamba_track_mask", "mamba_track_indices"))
        if mask is None or targets is None:
            return
        ends = lengths
        if getattr(batch, "extend_prefix_lens", None) is not None:
            tracked = batch.mamba_track_aligned_lens()
            if tracked is None:
                return
            ends = before + tracked.long()
        # Masked rows have no meaning, and a negative target none to write to.
        rows = (mask & (targets >= 0)).nonzero().flatten()
        self._states[targets[rows].long()] = _up_to(sums[rows], ends[rows])


def _lengths_before(batch: Any, lengths: torch.Tensor) -> torch.Tensor:
    prefixes = getattr(batch, "extend_prefix_lens", None)
    found: torch.Tensor = lengths - 1 if prefixes is None else prefixes.long()
    return found


def _up_to(sums: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The running sum after so many tokens; 0 after none."""
    taken = sums.gather(1, (lengths - 1).clamp(min=0).unsqueeze(1)).squeeze(1)
    return torch.where(lengths > 0, taken, 0)
