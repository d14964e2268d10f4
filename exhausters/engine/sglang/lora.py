"""LoRA on a machine without a GPU: the switches that it needs, and a stand-in for pinned memory.

The null model has no layer that an adapter changes, so nothing is computed with adapters. What SGLang decides
with them is all its own: how many of them a batch may name, which slot is loaded with which, who waits.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from exhausters.engine.sglang.pinned_memory import leave_tensors_unpinned, without_pinning
from exhausters.engine.sglang.switches import shown_switch
from exhausters.errors import UnsupportedSettingError

SWITCH = "enable_lora"
# The smallest adapter there is: rank 1, on a projection that every decoder has.
TARGET_MODULES = ("q_proj", "k_proj", "v_proj")
RANK = 1
# Of SGLang's backends the one without kernels of a GPU's.
_BACKEND = "torch_native"
_DEFAULTS: Mapping[str, Any] = {
    "max_lora_rank": RANK,
    "lora_target_modules": list(TARGET_MODULES),
    "lora_backend": _BACKEND,
}
_OVERLAP = "enable_lora_overlap_loading"
_BACKEND_MODULE = "sglang.srt.lora.backend.torch_backend"
_MANAGER_MODULE, _MANAGER = "sglang.srt.lora.lora_manager", "LoRAManager"
# The manager's call that takes an adapter without a file.
REGISTER = "load_lora_adapter_from_tensors"
# Constructors of tensors that take `pin_memory`.
_PINNING = ("arange", "empty", "full", "ones", "tensor", "zeros")


def is_on(arguments: Mapping[str, Any]) -> bool:
    """Tell whether keywords of `ServerArgs` turn LoRA on."""
    return bool(arguments.get(SWITCH))


def completed(arguments: Mapping[str, Any], *, known: Sequence[str] | frozenset[str]) -> dict[str, Any]:
    """Return the keywords that LoRA needs on a CPU beside those that are given; none when it is off.

    Args:
        arguments: keywords of `ServerArgs` that are given.
        known: keywords that this `ServerArgs` takes.

    Raises:
        UnsupportedSettingError: another kernel backend, or loads that overlap with a forward.
    """
    if not is_on(arguments):
        return {}
    backend = arguments.get("lora_backend", _BACKEND)
    if backend != _BACKEND:
        raise UnsupportedSettingError(
            f"{shown_switch('lora_backend', backend)}: its kernels are a GPU's; expected {_BACKEND!r}, or "
            "leave it out"
        )
    if arguments.get(_OVERLAP):
        raise UnsupportedSettingError(
            f"{shown_switch(_OVERLAP, True)}: it loads on a stream of the device beside the forward, and a "
            "CPU has none; leave it out"
        )
    return {name: value for name, value in _DEFAULTS.items() if name in known and name not in arguments}


class _Unpinned:
    """torch, whose constructors of tensors do not pin memory."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        for name in _PINNING:
            setattr(self, name, without_pinning(getattr(torch, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._torch, name)


def install() -> tuple[str, ...]:
    """Put the stand-in where this machine has no device to pin memory for; returns what was replaced.

    Raises:
        UnsupportedSettingError: this SGLang has no such backend, or takes adapters from files alone.
    """
    import torch

    backend, manager = _imported(_BACKEND_MODULE), _imported(_MANAGER_MODULE)
    if not hasattr(getattr(manager, _MANAGER, None), REGISTER):
        raise UnsupportedSettingError(
            f"{shown_switch(SWITCH, True)}: {_MANAGER} of this SGLang has no {REGISTER}, and the null "
            "adapters have no files"
        )
    if torch.cuda.is_available():
        return ()
    backend.torch = _Unpinned(torch)
    leave_tensors_unpinned()
    return ("torch.Tensor.pin_memory", *(f"{_BACKEND_MODULE}.torch.{one}" for one in _PINNING))


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnsupportedSettingError(
            f"{shown_switch(SWITCH, True)}: this SGLang has no LoRA that runs without a GPU: {error}"
        ) from error
