"""Turn the engine keywords of a script or grid into SGLang's `ServerArgs` for a CPU and a null model."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from exhausters.errors import UsageError

# What makes SGLang run without a GPU, a network and a tokenizer. A script cannot change these.
_FORCED: Mapping[str, Any] = {
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

# Used unless the script or grid says otherwise.
_DEFAULTS: Mapping[str, Any] = {
    "max_total_tokens": 65_536,
    "max_running_requests": 256,
    "chunked_prefill_size": 2_048,
    "page_size": 1,
    "log_level": "warning",
    # The event loop rests inside our hook between scripts, which is no hang.
    "watchdog_timeout": 1_000_000_000.0,
}

# Meant for a GPU or a real model. They are taken, so that a script's ENGINE_KWARGS need no change.
_IGNORED_PREFIXES = ("kv_canary", "cuda_graph", "mem_fraction", "quantization", "nccl", "moe_", "mm_")
_IGNORED = frozenset(
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
        *_FORCED,
    }
)
# One process, one rank: a script for several must be told so, not silently run on one.
_SINGLE_RANK = ("tp_size", "pp_size", "dp_size", "ep_size", "attn_cp_size", "nnodes")


def server_arguments(engine: Mapping[str, Any], *, model_path: str) -> tuple[Any, tuple[str, ...]]:
    """Return SGLang's `ServerArgs` and one note for each keyword that was mapped or ignored.

    Raises:
        UsageError: a keyword that asks for more than one rank.
    """
    from sglang.srt.server_args import ServerArgs

    known = _known_names(ServerArgs)
    notes: list[str] = []
    wanted: dict[str, Any] = dict(_DEFAULTS)
    for name, value in engine.items():
        _refuse_many_ranks(name, value)
        if name in _IGNORED or name.startswith(_IGNORED_PREFIXES):
            if name not in _FORCED or _FORCED[name] != value:
                notes.append(_ignored_note(name, value))
        elif name not in known:
            notes.append(f"{name}={value!r}: this SGLang has no such engine keyword; ignored")
        else:
            wanted[name] = value
    # The table of request rows is this wide: a model's full length would cost hundreds of MB.
    wanted.setdefault("context_length", max(int(wanted["max_total_tokens"] or 0), 4_096))
    arguments = {**wanted, **_FORCED, "model_path": model_path}
    return ServerArgs(**{name: value for name, value in arguments.items() if name in known}), tuple(notes)


def _known_names(server_args_class: Any) -> frozenset[str]:
    if dataclasses.is_dataclass(server_args_class):
        return frozenset(field.name for field in dataclasses.fields(server_args_class) if field.init)
    return frozenset(inspect.signature(server_args_class).parameters)


def _ignored_note(name: str, value: Any) -> str:
    if name == "model_path":
        return f"model_path={value!r}: a null model stands in its place"
    return f"{name}={value!r}: has no meaning on a CPU without a model; ignored"


def _refuse_many_ranks(name: str, value: Any) -> None:
    if name in _SINGLE_RANK and value not in (None, 1):
        raise UsageError(f"{name}={value!r}: expected 1, one scheduler runs alone here; leave it out")
