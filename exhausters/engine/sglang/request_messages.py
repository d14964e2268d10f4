"""Requests and controls as the tokenizer would send them, put into the scheduler's inbox."""

from __future__ import annotations

import inspect
from array import array
from collections.abc import Mapping
from functools import cache
from typing import Any

from exhausters.engine.api import Submission
from exhausters.engine.sglang.disaggregation import HOST
from exhausters.errors import SeamError


@cache
def _parameters(cls: Any) -> Mapping[str, inspect.Parameter]:
    # Once for each class: a msgspec structure evaluates all its type hints to answer this.
    return inspect.signature(cls).parameters


def construct(cls: Any, wanted: Mapping[str, Any]) -> Any:
    """Make an `io_struct` message from those of the wanted keywords that this release has.

    Raises:
        SeamError: the release requires a keyword that is not among them.
    """
    parameters = _parameters(cls)
    given = {name: value for name, value in wanted.items() if name in parameters}
    missing = [
        name
        for name, parameter in parameters.items()
        if name not in given
        and parameter.default is inspect.Parameter.empty
        and parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    ]
    if missing:
        raise SeamError(f"{cls.__name__} requires {missing}, which the harness does not know; add them")
    return cls(**given)


def _in_its_form(cls: Any, input_ids: array[int]) -> array[int] | list[int]:
    """Token ids as a message of this class has them: an array since May 2026, a list before.

    SGLang adds its own ids to them, and Python adds no list to an array.
    """
    stated = str(_parameters(cls)["input_ids"].annotation)
    return input_ids if "array" in stated or "ist[int]" not in stated else input_ids.tolist()


def generate_request(submission: Submission, *, room: int | None = None) -> Any:
    """Return the tokenized request that SGLang's tokenizer manager makes of these.

    Args:
        submission: the request.
        room: number of the room in which it meets the other engine of a disaggregated pair.

    Raises:
        ValueError: SGLang's own check of the sampling parameters refused them.
    """
    from sglang.srt.managers.io_struct import TokenizedGenerateReqInput
    from sglang.srt.sampling.sampling_params import SamplingParams

    from exhausters.engine.sglang.null_models import VOCAB_SIZE

    parameters = SamplingParams(**submission.sampling)
    parameters.normalize(None)
    parameters.verify(VOCAB_SIZE)
    return construct(
        TokenizedGenerateReqInput,
        {
            "rid": submission.rid,
            "input_text": "",
            "input_ids": _in_its_form(TokenizedGenerateReqInput, submission.input_ids),
            "input_embeds": None,
            "mm_inputs": None,
            "token_type_ids": None,
            "sampling_params": parameters,
            "return_logprob": submission.return_logprob,
            # The tokenizer manager's values for "not given".
            "logprob_start_len": -1 if submission.logprob_start_len is None else submission.logprob_start_len,
            "top_logprobs_num": submission.top_logprobs_num or 0,
            "token_ids_logprob": None,
            "stream": True,
            "priority": submission.priority,
            "routed_dp_rank": submission.dp_rank,
            # Without adapters the path only keeps prefixes apart, as an adapter's id does.
            "lora_id": submission.lora_path,
            "session_params": _session_params(submission),
            **({} if room is None else {"bootstrap_host": HOST, "bootstrap_room": room}),
        },
    )


def _session_params(submission: Submission) -> Any:
    if submission.session_id is None:
        return None
    from sglang.srt.managers.io_struct import SessionParams

    return construct(SessionParams, {"id": submission.session_id, "rid": submission.session_rid})


def open_session(session_id: str, *, is_streaming: bool, capacity: int) -> Any:
    """Return the control that opens a session."""
    from sglang.srt.managers.io_struct import OpenSessionReqInput

    wanted = {"session_id": session_id, "streaming": is_streaming, "capacity_of_str_len": capacity}
    return construct(OpenSessionReqInput, wanted)


def close_session(session_id: str) -> Any:
    """Return the control that closes a session."""
    from sglang.srt.managers.io_struct import CloseSessionReqInput

    return construct(CloseSessionReqInput, {"session_id": session_id})


def pause_generation(mode: str) -> Any:
    """Return the control that pauses the engine; `mode` is `retract` or `in_place`."""
    from sglang.srt.managers.io_struct import PauseGenerationReqInput

    return construct(PauseGenerationReqInput, {"mode": mode})


def continue_generation(torch_empty_cache: bool) -> Any:
    """Return the control that resumes a paused engine."""
    from sglang.srt.managers.io_struct import ContinueGenerationReqInput

    return construct(ContinueGenerationReqInput, {"torch_empty_cache": torch_empty_cache})


def abort(*, rid: str = "", abort_all: bool = False) -> Any:
    """Return the control that aborts one request (all whose id starts with `rid`), or all."""
    from sglang.srt.managers.io_struct import AbortReq

    return construct(AbortReq, {"rid": rid, "abort_all": abort_all})


def flush_cache() -> Any:
    """Return the control that empties the tree cache and the pools of an idle engine."""
    from sglang.srt.managers.io_struct import FlushCacheReqInput

    return construct(FlushCacheReqInput, {})
