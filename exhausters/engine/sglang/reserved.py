"""What the harness itself sets of an SGLang, in keywords and in the environment: a grid cannot set these.

Imported by the parent process too, by name: one place, so that what is refused is what is set.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from exhausters.engine.sglang.environment import TREE_CORE, VARIABLES

#: Keywords of `ServerArgs` that a cell's settings give, by the name of the setting; `!` is for "not".
NAMED: Mapping[str, str] = MappingProxyType(
    {
        "page_size": "page_size",
        "policy": "schedule_policy",
        "chunked_prefill_size": "chunked_prefill_size",
        "mixed_chunk": "enable_mixed_chunk",
        "overlap": "!disable_overlap_schedule",
        "radix_cache": "!disable_radix_cache",
        "priority_scheduling": "enable_priority_scheduling",
        "max_total_tokens": "max_total_tokens",
        "max_running_requests": "max_running_requests",
    }
)

#: What makes SGLang run without a GPU, a network and a tokenizer. A script cannot change these.
FORCED: Mapping[str, Any] = MappingProxyType(
    {
        "device": "cpu",
        "load_format": "dummy",
        "dtype": "float32",
        "attention_backend": "torch_native",
        "sampling_backend": "pytorch",
        "grammar_backend": "none",
        "skip_tokenizer_init": True,
        "skip_server_warmup": True,
        "disable_cuda_graph": True,
        "enable_metrics": False,
        "random_seed": 0,
        # SGLang's own guess reserves for a GPU and can leave nothing; `max_total_tokens` decides here.
        "mem_fraction_static": 0.9,
    }
)

# Meant for a GPU or a real model. A script's ENGINE_KWARGS may have them, and they are ignored with a note.
_MEANINGLESS_PREFIXES = ("kv_canary", "cuda_graph", "mem_fraction", "quantization", "nccl", "moe_", "mm_")
_MEANINGLESS = frozenset(
    {
        "model_path",
        "tokenizer_path",
        "tokenizer_mode",
        "trust_remote_code",
        "enable_torch_compile",
        "enable_memory_saver",
        "disable_piecewise_cuda_graph",
        "disable_custom_all_reduce",
        "kv_cache_dtype",
        "prefill_attention_backend",
        "decode_attention_backend",
        "host",
        "port",
        "soft_watchdog_timeout",
        *FORCED,
    }
)

#: Ranks that there are not here: a script for several is refused rather than run on one. Those that there are
#: have their limits in `world.py`.
SINGLE_RANK = ("ep_size", "attn_cp_size", "moe_dp_size", "nnodes")

# Of what is forced, that on which a script runs: another value asks for a device or a real model.
_OF_A_DEVICE = (
    "device",
    "load_format",
    "dtype",
    "attention_backend",
    "sampling_backend",
    "grammar_backend",
    "disable_cuda_graph",
)
# Weights that a null model has not, wherever they are.
_OF_WEIGHTS = ("lora_paths",)
# Families of models, by a part of their names, whose layers have a sliding window beside full attention.
_SLIDING_WINDOW_FAMILIES = ("gpt-oss",)

#: Every variable that a grid may not set, those of any worker aside.
RESERVED_VARIABLES = frozenset(
    {
        *VARIABLES,
        TREE_CORE,
        # Swaps SGLang's own scripted runtime in, where the harness's hook must be.
        "SGLANG_TEST_SCRIPTED_RUNTIME",
    }
)


def is_meaningless(keyword: str) -> bool:
    """Tell whether a keyword of `ServerArgs` means nothing on a CPU without a model."""
    return keyword in _MEANINGLESS or keyword.startswith(_MEANINGLESS_PREFIXES)


def device_asked_for(engine: Mapping[str, Any]) -> str | None:
    """Say which keyword of a script asks for a device, a backend or weights that are not here.

    Returns:
        one sentence, or None when there is no such keyword.
    """
    for name in _OF_WEIGHTS:
        if engine.get(name):
            return f"{name}={engine[name]!r}: asks for weights, which a null model has not"
    for name in _OF_A_DEVICE:
        if name in engine and engine[name] not in (None, FORCED[name]):
            return f"{name}={engine[name]!r}: asks for what this has not, which boots with {FORCED[name]!r}"
    return None


def null_model_for(model_path: object) -> str:
    """Return the null model that has the kinds of layers of the model that a script names."""
    name = str(model_path).lower()
    return "hybrid_swa" if any(family in name for family in _SLIDING_WINDOW_FAMILIES) else "dense"
