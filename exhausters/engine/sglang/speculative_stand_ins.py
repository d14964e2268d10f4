"""The stand-ins of `speculative_kernels.py` and `draft_script.py` behind the names that SGLang calls.

A name is replaced in every module of SGLang's that has it; one that a release lacks is not needed there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch

from exhausters.engine.sglang import speculative_kernels as kernels
from exhausters.engine.sglang.cpu_kernels import TorchKernel

# Of SGLang's tree masks: the one that says, behind all tokens before them, which drafts a draft sees.
_FULL_MASK = 0


def _extend_locs(named: dict[str, Any]) -> None:
    kernels.assign_extend_locs(
        named["req_pool_indices"],
        named["req_to_token"],
        named["start_offset"],
        named["end_offset"],
        named["out_cache_loc"],
    )


def _write_table(named: dict[str, Any]) -> None:
    kernels.write_table(
        named["req_pool_indices"],
        named["req_to_token"],
        named["start_offset"],
        named["end_offset"],
        named["out_cache_loc"],
    )


def _draft_locs(named: dict[str, Any]) -> None:
    kernels.assign_draft_locs(
        named["req_pool_indices"],
        named["req_to_token"],
        named["seq_lens"],
        named["out_cache_loc"],
        named["topk"] * named["speculative_num_steps"],
    )


def _bonus(named: dict[str, Any]) -> None:
    tokens, lengths, out, stride = list(named.values())[:4]
    kernels.fill_bonus(tokens, lengths, out, int(stride))


def _accepted_locs(named: dict[str, Any]) -> None:
    kernels.fill_accepted_locs(*list(named.values())[:3])


#: Triton kernels, by name; each is given its arguments by name.
KERNELS: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "assign_extend_cache_locs": _extend_locs,
    "assign_req_to_token_pool": _write_table,
    "assign_draft_cache_locs_contiguous": _draft_locs,
    "fill_bonus_tokens": _bonus,
    "fill_accept_out_cache_loc": _accepted_locs,
    # Launched once when a pool is made, to compile it; slots are moved by SGLang's own torch version.
    "copy_all_layer_kv_cache_tiled": lambda _named: None,
}


def _build_tree(  # positional in every release
    parent_list: torch.Tensor,
    selected_index: torch.Tensor,
    seq_lens: torch.Tensor,
    tree_mask: torch.Tensor,
    positions: torch.Tensor,
    index: torch.Tensor,
    next_token: torch.Tensor,
    next_sibling: torch.Tensor,
    topk: int,
    _depth: int,
    width: int,
    mask_mode: int = _FULL_MASK,
) -> None:
    kernels.build_tree(
        parent_list,
        selected_index,
        seq_lens,
        tree_mask,
        positions,
        index,
        next_token,
        next_sibling,
        topk=topk,
        width=width,
        is_full_mask=int(mask_mode) == _FULL_MASK,
    )


def _verify_tree(
    predicts: torch.Tensor,
    accept_index: torch.Tensor,
    accept_token_num: torch.Tensor,
    candidates: torch.Tensor,
    retrieve_index: torch.Tensor,
    retrieve_next_token: torch.Tensor,
    retrieve_next_sibling: torch.Tensor,
    target_predict: torch.Tensor,
    topk: int = -1,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    kernels.verify_greedily(
        predicts,
        accept_index,
        accept_token_num,
        candidates,
        retrieve_index,
        retrieve_next_token,
        retrieve_next_sibling,
        target_predict,
    )
    return predicts, accept_index, accept_token_num


def _extend_locs_func(
    req_pool_indices: torch.Tensor,
    req_to_token: torch.Tensor,
    start_offset: torch.Tensor,
    end_offset: torch.Tensor,
    batch_size: int,
    draft_token_num: int,
    device: Any,
) -> torch.Tensor:
    out = torch.empty(batch_size * draft_token_num, dtype=torch.int64)
    kernels.assign_extend_locs(req_pool_indices, req_to_token, start_offset, end_offset, out)
    return out


def _reconstruct(
    tree_mask: torch.Tensor,
    seq_lens: torch.Tensor,
    positions: torch.Tensor,
    index: torch.Tensor,
    next_token: torch.Tensor,
    next_sibling: torch.Tensor,
    batch_size: int,
    draft_token_num: int,
) -> None:
    kernels.reconstruct_tree(
        tree_mask,
        seq_lens,
        positions,
        index,
        next_token,
        next_sibling,
        batch=batch_size,
        width=draft_token_num,
    )


#: Functions, by name, with SGLang's own parameters.
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "build_tree_kernel_efficient_func": _build_tree,
    "verify_tree_greedy_func": _verify_tree,
    "assign_extend_cache_locs_func": _extend_locs_func,
    "reconstruct_indices_from_tree_mask": _reconstruct,
    "gather_spec_extras": kernels.gather_rows,
    "copy_all_layer_kv_cache_func": lambda *_arguments, **_keywords: None,
    # What SGLang's own CPU build answers.
    "_verify_uses_greedy": lambda **_keywords: True,
}


def replace_everywhere(names: Mapping[str, Any]) -> tuple[str, ...]:
    """Put each in the place of what any imported module of SGLang's has by its name; returns the names."""
    replaced: set[str] = set()
    for module_name, module in list(sys.modules.items()):
        if module is None or not module_name.startswith("sglang."):
            continue
        for name, value in names.items():
            if callable(vars(module).get(name)):
                setattr(module, name, value)
                replaced.add(name)
    return tuple(sorted(replaced))


def install_kernels() -> tuple[str, ...]:
    """Put the torch versions into every imported module that has the kernels; returns what was replaced."""
    replaced: set[str] = set()
    for module_name, module in list(sys.modules.items()):
        if module is None or not module_name.startswith("sglang."):
            continue
        for name, function in KERNELS.items():
            kernel = vars(module).get(name)
            # A function of the same name is another thing, and calls the kernel by another one.
            if kernel is None or isinstance(kernel, TorchKernel) or not hasattr(kernel, "arg_names"):
                continue
            setattr(module, name, TorchKernel(name, list(kernel.arg_names), function))
            replaced.add(name)
    return tuple(sorted(replaced))


# In older releases the function that builds trees calls a kernel by this name, which only a GPU has.
_TREE, _TREE_KERNEL = "build_tree_kernel_efficient", "sgl_build_tree_kernel_efficient"


def give_tree_kernel() -> None:
    """Give the kernel of trees to the modules that call it by its name and do not have it."""
    for module_name, module in list(sys.modules.items()):
        if module is not None and module_name.startswith("sglang.srt.speculative.") and _TREE in vars(module):
            setattr(module, _TREE_KERNEL, _build_tree)


class NullDraftBackend:
    """Attention of a draft model of several steps, none of which attends to anything.

    Attributes:
        attn_backends: the runner's own backend, for each step.
    """

    def __init__(self, runner: Any, steps: int) -> None:
        self.attn_backends = [runner.attn_backend] * steps

    def init_forward_metadata(self, _forward_batch: Any) -> None:
        """Nothing is to be prepared."""


def create_decode_backend(factory: Any) -> NullDraftBackend | None:
    """What `DraftBackendFactory` makes for the steps of a draft; nothing for one step, as SGLang."""
    steps = int(factory.speculative_num_steps)
    return NullDraftBackend(factory.draft_model_runner, steps) if steps > 1 else None
