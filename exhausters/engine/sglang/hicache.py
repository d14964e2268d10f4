"""HiCache, SGLang's second cache tier in host memory, on a machine without a GPU.

Three stand-ins, installed only when `enable_hierarchical_cache` is on and the machine lacks the real thing:

* registering host memory with CUDA, and taking that back, does nothing;
* `transfer_kv_direct`, which copies KV slots between the two tiers, is an indexed copy, put where the modules
  of the host pools look it up;
* no memory is reserved for the rest of the machine: SGLang keeps 10 GiB aside, a null model's pool has
  kilobytes.

All copies end before the call that asks for them returns; see docs/hicache.md for what that hides.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from exhausters.engine.sglang.boot_failure import lacking
from exhausters.engine.sglang.kernel_package import Kernel
from exhausters.engine.sglang.switches import shown_switch
from exhausters.errors import UnsupportedSettingError

if TYPE_CHECKING:
    import torch

SWITCH = "enable_hierarchical_cache"
COPY = "transfer_kv_direct"
_RESERVE = "HICACHE_HOST_MEMORY_RESERVE_BYTES"
# Where host pools are, in newer releases and before 0.5.16; importing them imports every other one.
_POOL_MODULES = ("sglang.srt.mem_cache.memory_pool_host", "sglang.srt.mem_cache.pool_host.mha")
_POOL_FOLDER = "sglang.srt.mem_cache."
# The kernels of other backends and layouts have no stand-in.
_REQUIRED: Mapping[str, Any] = {"hicache_io_backend": "direct", "hicache_mem_layout": "layer_first"}
# SGLang's own default; without it new releases size the pool by what is free on this machine.
_RATIO = 2.0
# Files that a boot without HiCache does not run.
_FILES = ("hiradix_cache", "hicache", "pool_host", "memory_pool_host", "cache_controller", "l2_transfer")


def is_on(arguments: Mapping[str, Any]) -> bool:
    """Tell whether keywords of `ServerArgs` turn HiCache on."""
    return bool(arguments.get(SWITCH))


def completed(arguments: Mapping[str, Any], *, known: Sequence[str] | frozenset[str]) -> dict[str, Any]:
    """Return the keywords that HiCache needs on a CPU beside those that are given; none when it is off.

    Args:
        arguments: keywords of `ServerArgs` that are given.
        known: keywords that this `ServerArgs` takes.

    Raises:
        UnsupportedSettingError: another copy backend or host layout, a storage tier, or no radix cache.
    """
    if not is_on(arguments):
        return {}
    added = copies_without_a_gpu(arguments, known=known)
    storage = arguments.get("hicache_storage_backend")
    if storage is not None:
        raise UnsupportedSettingError(
            f"{shown_switch('hicache_storage_backend', storage)}: a storage tier works in threads of its "
            "own, whose timing would be in the decisions; leave it out"
        )
    if arguments.get("disable_radix_cache"):
        raise UnsupportedSettingError(f"{shown_switch(SWITCH, True)}: needs the radix cache; it is off")
    if not arguments.get("hicache_ratio") and not arguments.get("hicache_size") and "hicache_ratio" in known:
        added["hicache_ratio"] = _RATIO
    return added


def copies_without_a_gpu(
    arguments: Mapping[str, Any], *, known: Sequence[str] | frozenset[str]
) -> dict[str, Any]:
    """Return the keywords by which copies between device and host have a stand-in.

    Raises:
        UnsupportedSettingError: another copy backend or host layout is asked for.
    """
    for name, value in _REQUIRED.items():
        given = arguments.get(name, value)
        if given != value:
            raise UnsupportedSettingError(
                f"{shown_switch(name, given)}: its copies are CUDA kernels, for which there is no stand-in; "
                f"expected {value!r}, or leave it out"
            )
    return {name: value for name, value in _REQUIRED.items() if name in known}


class _NoCudart:
    """The two calls of CUDA's runtime that pin host memory, where there is no device to pin it for."""

    def cudaHostRegister(self, _pointer: int, _size: int, _flags: int) -> int:  # noqa: N802
        return 0

    def cudaHostUnregister(self, _pointer: int) -> int:  # noqa: N802
        return 0


def copy_slots(
    src_layers: Sequence[torch.Tensor],
    dst_layers: Sequence[torch.Tensor],
    src_indices: torch.Tensor,
    dst_indices: torch.Tensor,
    page_size: int,
) -> None:
    """Copy KV slots from one tier to the other, layer by layer; stands for `transfer_kv_direct`.

    Args:
        src_layers, dst_layers: buffers of shape (slots, heads, head dimension).
        src_indices, dst_indices: slots of either side, shape (tokens,).
        page_size: not needed: slots are copied one by one.
    """
    for source, target in zip(src_layers, dst_layers, strict=True):
        target[dst_indices] = source[src_indices]


def install() -> tuple[str, ...]:
    """Put the stand-ins where this machine lacks the real thing; returns what was replaced.

    Raises:
        UnsupportedSettingError: this SGLang has no host pools where they are known to be.
    """
    import torch

    pools = _pool_modules()
    replaced: list[str] = []
    if not torch.cuda.is_available():
        torch.cuda.cudart = _NoCudart
        replaced.append("cudart")
    for module in pools:
        if not hasattr(module, COPY) or isinstance(getattr(module, COPY), Kernel):
            setattr(module, COPY, copy_slots)
            replaced.append(f"{module.__name__}.{COPY}")
        if hasattr(module, _RESERVE):
            setattr(module, _RESERVE, 0)
    return tuple(replaced)


def _pool_modules() -> list[Any]:
    errors = []
    for name in _POOL_MODULES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            errors.append(f"{name}: {error}")
    if len(errors) == len(_POOL_MODULES):
        raise UnsupportedSettingError(
            f"{shown_switch(SWITCH, True)}: this SGLang has no host pools that could be imported: "
            + "; ".join(errors)
        )
    loaded = [(name, module) for name, module in sorted(sys.modules.items()) if module is not None]
    return [module for name, module in loaded if name.startswith(_POOL_FOLDER) and "pool_host" in name]


def refusal_in(text: str, asked: str = shown_switch(SWITCH, True)) -> UnsupportedSettingError | None:
    """Return what a failed boot with host pools says; None when it fails not for want of a GPU.

    Args:
        text: SGLang's own traceback.
        asked: the switch that asks for them, as it is shown.
    """
    return lacking(text, asked, files=_FILES)
