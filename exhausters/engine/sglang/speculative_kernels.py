"""Torch versions of the kernels that SGLang's speculative workers launch, for a machine without a GPU.

Each takes the arguments of the kernel by their names and writes into the same tensors. They follow what the
kernels compute, stated in each function; none decides anything about drafts.
"""

from __future__ import annotations

from typing import Any

import torch


def assign_extend_locs(
    rows: torch.Tensor, table: torch.Tensor, starts: torch.Tensor, ends: torch.Tensor, out: torch.Tensor
) -> None:
    """Write into `out` the KV slots of places `starts` to `ends` of each request, one after the other.

    Args:
        rows: row of each request in `table`, shape (batch,).
        table: KV slot of each place, shape (rows, places).
        starts, ends: shape (batch,).
        out: result; longer than needed or not.
    """
    owner, place = _places(starts, ends)
    out[: len(place)] = table[rows.long()[owner], place].to(out.dtype)


def write_table(
    rows: torch.Tensor, table: torch.Tensor, starts: torch.Tensor, ends: torch.Tensor, slots: torch.Tensor
) -> None:
    """Write `slots`, one after the other, to the places `starts` to `ends` of each request in `table`."""
    owner, place = _places(starts, ends)
    table[rows.long()[owner], place] = slots[: len(place)].to(table.dtype)


def _places(starts: torch.Tensor, ends: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Index of the request, and the place, of all places from `starts` to `ends` (exclusive)."""
    first, counts = starts.long(), (ends - starts).long()
    owner = torch.repeat_interleave(torch.arange(len(counts)), counts)
    offset = torch.arange(len(owner)) - (torch.cumsum(counts, 0) - counts)[owner]
    return owner, first[owner] + offset


def assign_draft_locs(
    rows: torch.Tensor, table: torch.Tensor, lengths: torch.Tensor, out: torch.Tensor, columns: int
) -> None:
    """Write the KV slots of the `columns` places behind each request to `out`, shape (batch * columns,)."""
    place = lengths.long().unsqueeze(1) + torch.arange(columns)
    out.copy_(table[rows.long().unsqueeze(1), place].flatten())


def fill_bonus(tokens: torch.Tensor, lengths: torch.Tensor, out: torch.Tensor, stride: int) -> None:
    """Write the last of the `lengths` accepted tokens of each request, of `stride` each, into `out`."""
    out.copy_(tokens.flatten()[torch.arange(len(lengths)) * stride + lengths.long() - 1])


def fill_accepted_locs(index: torch.Tensor, slots: torch.Tensor, out: torch.Tensor) -> None:
    """Write the slots that `index` accepts (-1 accepts none), without gaps, into the front of `out`."""
    flat = index.flatten().long()
    found = slots[flat[flat >= 0]]
    out[: len(found)] = found.to(out.dtype)


def gather_rows(indices: torch.Tensor, *buffers: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    """Return the rows `indices` of each buffer, as copies; None for None."""
    return tuple(None if buffer is None else buffer[indices.long()] for buffer in buffers)


def build_tree(
    parents: torch.Tensor,
    selected: torch.Tensor,
    lengths: torch.Tensor,
    mask: torch.Tensor,
    positions: torch.Tensor,
    index: torch.Tensor,
    first_child: torch.Tensor,
    next_sibling: torch.Tensor,
    *,
    topk: int,
    width: int,
    is_full_mask: bool,
) -> None:
    """Link the drafts of each request to a tree, and say what each of its nodes sees.

    Node 0 is the newest token. Draft i (from 1) is the `selected[i - 1]`-th that was proposed: of a step's
    proposals every `topk` belong to one node of the step before, and `parents` has that node's own number.

    Args:
        parents: shape (batch, nodes that have proposals); the first stands for the newest token.
        selected: proposals that are verified, ascending, shape (batch, width - 1).
        lengths: tokens before the newest one, shape (batch,).
        mask: result, bool, flat; for each request and node the nodes it sees, with `is_full_mask` behind the
            tokens before them, all of which it sees.
        positions: result, shape (batch * width,).
        index: result, number of each node in the batch, shape (batch, width).
        first_child, next_sibling: result, -1 for none, of the same shape; set to -1 by the caller.
    """
    chosen, above = selected.tolist(), parents.tolist()
    seen = torch.zeros((len(chosen), width, width), dtype=torch.bool)
    depths = torch.zeros((len(chosen), width), dtype=torch.long)
    for request, (proposals, ups) in enumerate(zip(chosen, above, strict=True)):
        node_of = {proposal: node for node, proposal in enumerate(proposals, start=1)}
        parent = [-1] + [
            0 if proposal < topk else node_of.get(ups[proposal // topk], 0) for proposal in proposals
        ]
        for node in range(width - 1, 0, -1):
            next_sibling[request, node] = first_child[request, parent[node]]
            first_child[request, parent[node]] = node
        for node in range(width):
            up = node
            while up > 0:
                seen[request, node, up] = True
                depths[request, node] += 1
                up = parent[up]
            seen[request, node, 0] = True
    index.copy_(torch.arange(index.numel()).view(index.shape))
    positions.copy_((lengths.long().unsqueeze(1) + depths).flatten())
    _write_mask(mask, seen, lengths.tolist(), is_full_mask=is_full_mask)


def _write_mask(mask: torch.Tensor, seen: torch.Tensor, lengths: list[int], *, is_full_mask: bool) -> None:
    if not is_full_mask:
        mask[: seen.numel()] = seen.flatten()
        return
    width, place = seen.shape[1], 0
    for request, length in enumerate(lengths):
        part = mask[place : place + width * (length + width)].view(width, length + width)
        part[:, :length] = True
        part[:, length:] = seen[request]
        place += part.numel()


def reconstruct_tree(
    mask: torch.Tensor,
    lengths: torch.Tensor,
    positions: torch.Tensor,
    index: torch.Tensor,
    first_child: torch.Tensor,
    next_sibling: torch.Tensor,
    *,
    batch: int,
    width: int,
) -> None:
    """The same links and positions, from a mask that says which nodes each node sees (itself included)."""
    seen = mask[: batch * width * width].view(batch, width, width).bool()
    first_child.fill_(-1)
    next_sibling.fill_(-1)
    index.copy_(torch.arange(index.numel()).view(index.shape))
    depths = seen.sum(2) - 1
    positions.copy_((lengths.long().unsqueeze(1) + depths).flatten())
    for request, nodes in enumerate(seen.tolist()):
        for node in range(width - 1, 0, -1):
            # The deepest ancestor of a node is the last that it sees before itself.
            parent = max((up for up in range(node) if nodes[node][up]), default=-1)
            if parent >= 0:
                next_sibling[request, node] = first_child[request, parent]
                first_child[request, parent] = node


def verify_greedily(
    predicts: torch.Tensor,
    accepted: torch.Tensor,
    counts: torch.Tensor,
    candidates: torch.Tensor,
    index: torch.Tensor,
    first_child: torch.Tensor,
    next_sibling: torch.Tensor,
    wanted: torch.Tensor,
) -> None:
    """Walk each tree from its root for as long as a child is what the model would have emitted.

    Args:
        predicts: result, the model's token behind each accepted node, flat over all nodes of the batch.
        accepted: result, numbers of the accepted nodes from the root on, shape (batch, most that may be); -1
            by the caller.
        counts: result, accepted drafts of each request, shape (batch,).
        candidates: token of each node, shape (batch, width).
        index: number of each node in the batch; `first_child`, `next_sibling`: -1 for none; same shape.
        wanted: the model's token behind each node, same shape.
    """
    tokens, tokens_wanted = candidates.tolist(), wanted.tolist()
    children, siblings, numbers = first_child.tolist(), next_sibling.tolist(), index.tolist()
    for request in range(len(tokens)):
        node, path = 0, [0]
        while len(path) < accepted.shape[1]:
            child = children[request][node]
            while child != -1 and tokens[request][child] != tokens_wanted[request][node]:
                child = siblings[request][child]
            if child == -1:
                break
            node = child
            path.append(node)
        for place, step in enumerate(path):
            accepted[request, place] = numbers[request][step]
            predicts[numbers[request][step]] = tokens_wanted[request][step]
        counts[request] = len(path) - 1


def move_slots(buffers: Any, targets: torch.Tensor, sources: torch.Tensor) -> None:
    """Copy KV slots within each of the buffers."""
    for buffer in buffers:
        buffer[targets.long()] = buffer[sources.long()]
