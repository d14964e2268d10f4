"""Compares the torch versions of the allocation kernels with slow, obvious ones. Runs inside the worker."""

from __future__ import annotations

import random
from typing import Any


def slow_extend(prefix: list[int], seq: list[int], last: list[int], free: list[int], page: int) -> list[int]:
    """Token by token: go on in the last page while it lasts, else take the next free page."""
    pages = iter(free)
    out = []
    for before, after, slot in zip(prefix, seq, last, strict=True):
        for position in range(before, after):
            slot = next(pages) * page if position % page == 0 else slot + 1
            out.append(slot)
    return out


def compare(t: Any, seed: int, rounds: int) -> int:
    """Return how many tokens were compared; raises AssertionError at the first that differs."""
    import torch

    from exhausters.engine.sglang.cpu_kernels import alloc_decode, alloc_extend

    draw = random.Random(seed)
    compared = 0
    for _ in range(rounds):
        page = draw.choice((1, 2, 16, 64))
        batch = draw.randint(1, 6)
        prefix = [draw.randint(0, 4 * page) for _ in range(batch)]
        seq = [one + draw.randint(0, 3 * page) for one in prefix]
        pages = draw.sample(range(1, 500), 100)
        owned = [pages.pop() for _ in prefix]
        last = [own * page + (one - 1) % page if one else -1 for own, one in zip(owned, prefix, strict=True)]

        wanted = slow_extend(prefix, seq, last, pages, page)
        out = torch.full((len(wanted),), -7, dtype=torch.int64)
        inputs = [torch.tensor(one) for one in (prefix, seq, last, pages)]
        prefix_lens, seq_lens, last_loc, free = inputs
        alloc_extend(prefix_lens, seq_lens, last_loc, free, out, page)
        assert out.tolist() == wanted, (page, prefix, seq, last, out.tolist(), wanted)
        compared += len(wanted)

        grown = [max(1, one) for one in prefix]
        before = [one - 1 for one in grown]
        last = [own * page + (one - 1) % page if one else -1 for own, one in zip(owned, before, strict=True)]
        wanted = slow_extend(before, grown, last, pages, page)
        out = torch.full((batch,), -7, dtype=torch.int64)
        alloc_decode(torch.tensor(grown), torch.tensor(last), torch.tensor(pages), out, page)
        assert out.tolist() == wanted, (page, grown, last, out.tolist(), wanted)
        compared += batch
    return compared
