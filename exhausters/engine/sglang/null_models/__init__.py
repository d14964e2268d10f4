"""Models without a network, offered to SGLang through its external-model package.

SGLang imports every module of the package named by `SGLANG_EXTERNAL_MODEL_PACKAGE` and registers its
`EntryClass`. The configurations below pick the class by architecture name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from exhausters.workloads.emitted import CANARY_TOKENS, FIRST_CANARY_TOKEN

# Small enough that sampling costs next to nothing. Prompt tokens may be larger: nothing embeds them.
VOCAB_SIZE = 128
# The canary's own: room for its tokens, so that few wrong ones equal the right one by chance.
CANARY_VOCAB_SIZE = FIRST_CANARY_TOKEN + CANARY_TOKENS
# A model that never stops by itself unless its emitted token is set to this one.
EOS_TOKEN = 2

_DENSE: Mapping[str, Any] = {
    "architectures": ["NullForCausalLM"],
    # SGLang asks transformers for a configuration class by this name; any plain decoder will do.
    "model_type": "llama",
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "num_hidden_layers": 1,
    "vocab_size": VOCAB_SIZE,
    "bos_token_id": 1,
    "eos_token_id": EOS_TOKEN,
    "torch_dtype": "float32",
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "max_position_embeddings": 1 << 20,
}

# One sliding-window and one full-attention layer: two pools, and a tree with window parts.
_HYBRID_SWA: Mapping[str, Any] = {
    **_DENSE,
    "is_hybrid_swa": True,
    "sliding_window": 128,
    "num_hidden_layers": 2,
    "layer_types": ["sliding_attention", "full_attention"],
    "hybrid_layer_pattern": [1, 0],
}

# Three linear-attention layers and one of full attention: slots of recurrent states, and a tree with such
# parts. Under this architecture SGLang takes its own decisions about the states; the class is ours all the
# same.
_HYBRID_MAMBA: Mapping[str, Any] = {
    **_DENSE,
    "architectures": ["Qwen3NextForCausalLM"],
    "model_type": "qwen3_next",
    "num_hidden_layers": 4,
    "full_attention_interval": 4,
    "layer_types": ["linear_attention"] * 3 + ["full_attention"],
    "linear_conv_kernel_dim": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 1,
    "linear_num_value_heads": 1,
    # No layer has any: SGLang reads the numbers all the same.
    "num_experts": 1,
    "num_experts_per_tok": 1,
    "moe_intermediate_size": 8,
    "shared_expert_intermediate_size": 8,
}

_CANARY: Mapping[str, Any] = {"architectures": ["CanaryForCausalLM"], "vocab_size": CANARY_VOCAB_SIZE}

# The classes that run a share of the layers.
_IN_STAGES: Mapping[str, str] = {
    "NullForCausalLM": "NullStageForCausalLM",
    "CanaryForCausalLM": "CanaryStageForCausalLM",
}

MODELS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "dense": _DENSE,
        "hybrid_swa": _HYBRID_SWA,
        "canary": {**_DENSE, **_CANARY},
        "canary_hybrid_swa": {**_HYBRID_SWA, **_CANARY},
        "hybrid_mamba": _HYBRID_MAMBA,
        "canary_hybrid_mamba": {**_HYBRID_MAMBA, "vocab_size": CANARY_VOCAB_SIZE, "null_canary": True},
    }
)


#: What a model is beside a speculative worker: it proposes drafts, or verifies them; or there is none.
DRAFT, VERIFIER = "Draft", "Verifying"


def write_model_folder(
    folder: Path,
    *,
    model: str,
    emitted_token: int,
    also_named: str = "",
    heads: int = 1,
    stages: int = 1,
    role: str = "",
) -> Path:
    """Write the one file a model folder needs, `config.json`, and return the folder.

    Args:
        folder: is made where it is not there.
        model: one of `MODELS`.
        emitted_token: what the model emits, unless it is a canary.
        also_named: a second class name for it, for an SGLang that looks for one; empty for none.
        heads: attention heads, one for each rank that shares a layer.
        role: what it is beside a speculative worker, `DRAFT` or `VERIFIER`: another class of the same sizes.
        stages: how many ranks the layers are divided among: each has those of the model.

    Raises:
        ValueError: no such null model, or a token outside the vocabulary.
    """
    if model not in MODELS:
        raise ValueError(f"model={model!r}: expected one of {sorted(MODELS)}")
    if not 0 <= emitted_token < VOCAB_SIZE:
        raise ValueError(f"emitted_token={emitted_token}: expected 0 <= token < {VOCAB_SIZE}")
    folder.mkdir(parents=True, exist_ok=True)
    config = {**MODELS[model], "null_emitted_token": emitted_token}
    if heads > 1:
        config |= {"num_attention_heads": heads, "num_key_value_heads": heads}
    if stages > 1:
        config["architectures"] = [_IN_STAGES[name] for name in config["architectures"]]
        config["num_hidden_layers"] *= stages
        if "layer_types" in config:
            config["layer_types"] = config["layer_types"] * stages
            config["hybrid_layer_pattern"] = config["hybrid_layer_pattern"] * stages
    if also_named:
        config["architectures"] = [*config["architectures"], also_named]
    if role == DRAFT:
        config["architectures"] = ["DraftForCausalLM"]
    elif role:
        config["architectures"] = [f"{role}{name}" for name in config["architectures"]]
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    return folder
