"""Models with linear attention without a GPU: what their boot needs beside the model's configuration.

SGLang caches recurrent states by one of two strategies. `no_buffer` keeps the state at the end of a request,
for pages of one token and without the overlap loop. `extra_buffer` keeps checkpoints that a forward writes,
for pages of any size and either loop.

Two stand-ins, installed with these models alone: SGLang asserts that the platform can write checkpoints, and
here the answer is yes, since the null models have no state to write and the canary writes its own; and
memory is not pinned where torch sees no device to pin it for.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from typing import Any

from exhausters.engine.api import BootFacts
from exhausters.engine.settings import MAMBA_MODELS, HostSettings
from exhausters.engine.sglang import hicache
from exhausters.engine.sglang.pinned_memory import leave_tensors_unpinned, without_pinning
from exhausters.engine.sglang.switches import refused, shown_switch
from exhausters.errors import UnsupportedSettingError

_SIZE = "max_mamba_cache_size"
# Slots per request row, unless a grid says otherwise: SGLang reckons with three to five for each, and lowers
# the number of rows where there are fewer. Its own guess is a share of all memory: millions of these tiny
# states.
_SLOTS_PER_ROW = 5
_PLATFORM_MODULE = "sglang.srt.arg_groups.mamba_hook"
_PLATFORM_CHECK = "_platform_supports_mamba_cache_extra_buffer"
# What SGLang says of states that it refuses, in its own words.
_REFUSED = ("no_buffer", "extra_buffer", "mamba", "Mamba")


def is_on(model: str) -> bool:
    """Tell whether a null model has recurrent states."""
    return model in MAMBA_MODELS


def completed(model: str, arguments: Mapping[str, Any], *, known: Collection[str]) -> dict[str, Any]:
    """Return the keywords of `ServerArgs` that such a model needs beside those that are given.

    Args:
        model: name of the null model.
        arguments: keywords that are given.
        known: keywords that this `ServerArgs` takes.

    Raises:
        UnsupportedSettingError: HiCache, or an SGLang that cannot be told how many slots there are.
    """
    if not is_on(model):
        return {}
    if hicache.is_on(arguments):
        raise UnsupportedSettingError(
            f"model={model}, {shown_switch(hicache.SWITCH, True)}: SGLang's host pool of states has none of "
            "the layouts whose copies have a stand-in here; leave one of the two out"
        )
    if _SIZE not in known:
        raise UnsupportedSettingError(
            f"model={model}: this SGLang has no {_SIZE}, and would size the pool of states by what is free "
            "on this machine; take a release that has it"
        )
    if arguments.get(_SIZE):
        return {}
    return {_SIZE: _SLOTS_PER_ROW * int(arguments["max_running_requests"])}


def install() -> tuple[str, ...]:
    """Put the stand-ins where this machine, or this SGLang, needs them; returns what was replaced."""
    import torch

    replaced: list[str] = []
    if not torch.cuda.is_available():
        leave_tensors_unpinned()
        # 0.5.22 asks for pinned memory whatever the device.
        torch.tensor = without_pinning(torch.tensor)
        replaced.append("pin_memory")
    try:
        module = importlib.import_module(_PLATFORM_MODULE)
    except ImportError:
        return tuple(replaced)
    if hasattr(module, _PLATFORM_CHECK):
        setattr(module, _PLATFORM_CHECK, _yes)
        replaced.append(f"{_PLATFORM_MODULE}.{_PLATFORM_CHECK}")
    return tuple(replaced)


def _yes() -> bool:
    """Stand in for a question about the GPU."""
    return True


def require_accepted(server_args_class: Any, arguments: Mapping[str, Any], model: str) -> None:
    """Ask SGLang whether it takes these settings for a model with recurrent states.

    Raises:
        UnsupportedSettingError: it refuses them, for a reason that has to do with the states.
    """
    error = refused(server_args_class, arguments)
    if error is None or not any(word in str(error) for word in _REFUSED):
        return  # any other failure of a boot is a failure
    said = f"{type(error).__name__}: {str(error).strip()}".split("\n", 1)[0]
    raise UnsupportedSettingError(
        f"model={model}: this SGLang refuses it with these settings: {said}; overlap = false with "
        "page_size = 1 needs no checkpoints"
    ) from error


def require_as_asked(settings: HostSettings, facts: BootFacts) -> None:
    """Refuse an engine whose loop or page size SGLang has settled otherwise for the sake of the states.

    Raises:
        UnsupportedSettingError: names what runs and what was asked for.
    """
    asked = {
        "page_size": settings.engine.get("page_size", facts.page_size),
        "overlap": not settings.engine.get("disable_overlap_schedule", not facts.overlap),
    }
    runs = {"page_size": facts.page_size, "overlap": facts.overlap}
    for name, value in asked.items():
        if runs[name] != value:
            raise UnsupportedSettingError(
                f"model={settings.model}: this SGLang runs it with {name} = {runs[name]!r}, and {value!r} "
                f"was asked for; ask for {runs[name]!r}, or for a strategy that allows it, where it has one "
                "(server_args.mamba_radix_cache_strategy)"
            )
