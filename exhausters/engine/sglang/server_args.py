"""Turn the engine keywords of a script or grid into SGLang's `ServerArgs` for a CPU and a null model."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from exhausters.engine.sglang import disaggregation, hicache, lora, mamba, speculative
from exhausters.engine.sglang.reserved import FORCED, SINGLE_RANK, is_meaningless
from exhausters.engine.sglang.switches import require_switches
from exhausters.errors import UsageError

# Used unless the script or grid says otherwise.
_DEFAULTS: Mapping[str, Any] = {
    "max_total_tokens": 65_536,
    "max_running_requests": 256,
    "chunked_prefill_size": 2_048,
    "page_size": 1,
    "log_level": "warning",
    # The event loop waits inside our hook between scripts, which is no hang.
    "watchdog_timeout": 1_000_000_000.0,
}


def server_arguments(
    engine: Mapping[str, Any],
    *,
    model_path: str,
    switches: Mapping[str, Any] | None = None,
    model: str = "dense",
    draft_path: str = "",
) -> tuple[Any, tuple[str, ...]]:
    """Return SGLang's `ServerArgs` and one note for each keyword that was mapped or ignored.

    Args:
        engine: keywords of a script; what this SGLang does not have is noted and left out.
        model_path: folder of the null model.
        switches: keywords that must be taken as they are, or refused.
        model: name of the null model.
        draft_path: folder of the null draft, where there are drafts.

    Raises:
        UsageError: a keyword that asks for ranks that there are not.
        UnsupportedSettingError: a switch that this SGLang does not have, or a value or model it refuses.
    """
    from sglang.srt.server_args import ServerArgs

    known = known_names(ServerArgs)
    notes: list[str] = []
    wanted: dict[str, Any] = dict(_DEFAULTS)
    for name, value in engine.items():
        _refuse_many_ranks(name, value)
        if is_meaningless(name):
            if name not in FORCED or FORCED[name] != value:
                notes.append(_ignored_note(name, value))
        elif name not in known:
            notes.append(f"{name}={value!r}: this SGLang has no such engine keyword; ignored")
        else:
            wanted[name] = value
    # The table of request rows is this wide: a model's full length would cost hundreds of MB.
    wanted.setdefault("context_length", max(int(wanted["max_total_tokens"] or 0), 4_096))
    arguments = {**wanted, **FORCED, "model_path": model_path}
    taken = {name: value for name, value in arguments.items() if name in known}
    given = switches or {}
    # What a feature needs beside the switches of a grid must be there when SGLang is asked about them.
    for feature in (hicache, disaggregation, lora):
        taken |= feature.completed({**taken, **given}, known=known)
    taken |= mamba.completed(model, {**taken, **given}, known=known)
    taken |= speculative.completed({**taken, **given}, known=known, draft_path=draft_path)
    checked = require_switches(ServerArgs, given, known=known, others=taken)
    taken |= checked
    if mamba.is_on(model):
        mamba.require_accepted(ServerArgs, taken, model)
    return ServerArgs(**taken), tuple(notes)


def known_names(server_args_class: Any) -> frozenset[str]:
    """Keywords that this `ServerArgs` takes."""
    if dataclasses.is_dataclass(server_args_class):
        return frozenset(field.name for field in dataclasses.fields(server_args_class) if field.init)
    return frozenset(inspect.signature(server_args_class).parameters)


def _ignored_note(name: str, value: Any) -> str:
    if name == "model_path":
        return f"model_path={value!r}: a null model stands in its place"
    return f"{name}={value!r}: has no meaning on a CPU without a model; ignored"


def _refuse_many_ranks(name: str, value: Any) -> None:
    if name in SINGLE_RANK and value not in (None, 1):
        raise UsageError(f"{name}={value!r}: expected 1, there are no such ranks here; leave it out")
