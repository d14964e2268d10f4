"""Torch versions of the two Triton kernels that page allocation launches (`page_size` > 1).

Releases before 0.5.22 launch them on any device; without a GPU, Triton has no driver to launch them
with. What the kernels compute (page numbers for the tokens of an extend or a decode step) is stated in
each function; no value is read back to the host, as with the kernels.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch


def alloc_extend(
    prefix_lens: torch.Tensor,
    seq_lens: torch.Tensor,
    last_loc: torch.Tensor,
    free_pages: torch.Tensor,
    out_indices: torch.Tensor,
    page_size: int,
) -> None:
    """Fill `out_indices` with the KV slots of all new tokens of an extend batch.

    Args:
        prefix_lens, seq_lens: tokens of each request before and after, shape (batch,).
        last_loc: KV slot of each request's last cached token, shape (batch,); -1 for none.
        free_pages: page numbers, taken from the front, as many as the batch needs.
        out_indices: result, shape (sum of seq_lens - prefix_lens,).
        page_size: tokens per page.
    """
    prefix, seq = prefix_lens.long(), seq_lens.long()
    extend = seq - prefix
    pages_before = (prefix + page_size - 1) // page_size
    pages_after = (seq + page_size - 1) // page_size
    new_pages = pages_after - pages_before
    first_page = torch.cumsum(new_pages, 0) - new_pages
    first_out = torch.cumsum(extend, 0) - extend
    total = out_indices.shape[0]
    owner = torch.repeat_interleave(torch.arange(extend.shape[0]), extend, output_size=total)
    offset = torch.arange(total) - first_out[owner]
    position = prefix[owner] + offset
    page_of_request = position // page_size - pages_before[owner]
    in_new_page = page_of_request >= 0
    # Clamped so that tokens of the old page index something; `where` drops what they find.
    free_index = (first_page[owner] + page_of_request).clamp_(0, max(free_pages.shape[0] - 1, 0))
    fresh = (
        free_pages.long()[free_index] * page_size + position % page_size if free_pages.shape[0] else position
    )
    continued = last_loc.long()[owner] + 1 + offset
    out_indices.copy_(torch.where(in_new_page, fresh, continued))


def alloc_decode(
    seq_lens: torch.Tensor,
    last_loc: torch.Tensor,
    free_pages: torch.Tensor,
    out_indices: torch.Tensor,
    page_size: int,
) -> None:
    """Fill `out_indices`, shape (batch,), with the KV slot of one new token for each request."""
    starts_page = (seq_lens.long() - 1) % page_size == 0
    order = (torch.cumsum(starts_page, 0) - 1).clamp_(0, max(free_pages.shape[0] - 1, 0))
    continued = last_loc.long() + 1
    fresh = free_pages.long()[order] * page_size if free_pages.shape[0] else continued
    out_indices.copy_(torch.where(starts_page, fresh, continued))


class TorchKernel:
    """Stands where a Triton kernel stood: `kernel[grid](*arguments)`."""

    def __init__(self, name: str, argument_names: list[str], function: Callable[..., None]) -> None:
        self._argument_names = argument_names
        self._function = function
        self.__name__ = name

    def __getitem__(self, _grid: Any) -> Callable[..., None]:
        return self._launch

    def _launch(self, *arguments: Any, **keywords: Any) -> None:
        named = dict(zip(self._argument_names, arguments, strict=False)) | keywords
        self._function(named)


def _launch_extend(named: dict[str, Any]) -> None:
    alloc_extend(
        named["pre_lens_ptr"],
        named["seq_lens_ptr"],
        named["last_loc_ptr"],
        named["free_page_ptr"],
        named["out_indices"],
        named["page_size"],
    )


def _launch_decode(named: dict[str, Any]) -> None:
    alloc_decode(
        named["seq_lens_ptr"],
        named["last_loc_ptr"],
        named["free_page_ptr"],
        named["out_indices"],
        named["page_size"],
    )


_KERNELS: dict[str, Callable[[dict[str, Any]], None]] = {
    "alloc_extend_kernel": _launch_extend,
    "alloc_decode_kernel": _launch_decode,
}


def install() -> tuple[str, ...]:
    """Put the torch versions into every imported sglang module that holds the kernels.

    Returns the names that were replaced.
    """
    replaced: set[str] = set()
    for module_name, module in list(sys.modules.items()):
        if module is None or not module_name.startswith("sglang."):
            continue
        for name, function in _KERNELS.items():
            kernel = vars(module).get(name)
            if kernel is None or isinstance(kernel, TorchKernel):
                continue
            names = list(getattr(kernel, "arg_names", None) or [])
            setattr(module, name, TorchKernel(name, names, function))
            replaced.add(name)
    return tuple(sorted(replaced))
