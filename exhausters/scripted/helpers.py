"""Helpers for chunked-prefill scripts, with the names and signatures of SGLang's own.

See `sglang/test/scripted_runtime_chunked_helpers.py`; the constants keep its values so that scripts
written for it behave alike here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from exhausters.scripted.context import ScriptedContext
from exhausters.scripted.req_handle import ScriptedReqHandle

DEFAULT_CHUNK_SIZE: int = 256
DEFAULT_MAX_STEPS: int = 400
# Releases up to July 2026 have it.
VERY_LONG_PROMPT_LEN: int = 8 * DEFAULT_CHUNK_SIZE
SMALL_MODEL: str = "Qwen/Qwen3-0.6B"
BALLAST_MAX_NEW_TOKENS: int = 30000
SMALL_KV_POOL_MAX_TOTAL_TOKENS: int = 4096
SMALL_KV_POOL_BALLAST_MAX_NEW_TOKENS: int = 512
SMALL_KV_POOL_BALLAST_PROMPT_LEN: int = 1536

LIFECYCLE_STAGES = ("first_chunk", "last_chunk", "first_decode", "mid_decode", "last_decode")


def base_engine_kwargs(
    *, model_path: str = SMALL_MODEL, chunked_prefill_size: int = DEFAULT_CHUNK_SIZE, **overrides: Any
) -> dict[str, Any]:
    """Return engine keywords for a chunked-prefill test; `overrides` win."""
    return {"model_path": model_path, "chunked_prefill_size": chunked_prefill_size, **overrides}


def run_until(
    handle: ScriptedReqHandle,
    predicate: Callable[[ScriptedReqHandle], bool],
    *,
    max_steps: int = DEFAULT_MAX_STEPS,
) -> Iterator[None]:
    """Step until `predicate(handle)` holds; AssertionError when it does not within `max_steps`."""
    for _ in range(max_steps):
        if predicate(handle):
            return
        yield
    raise AssertionError(
        f"run_until: {handle.rid!r} did not get there within {max_steps} steps (status {handle.status})"
    )


def run_until_finished(handle: ScriptedReqHandle, *, max_steps: int = DEFAULT_MAX_STEPS) -> Iterator[None]:
    """Step until the request has finished."""
    yield from run_until(handle, lambda h: h.finished, max_steps=max_steps)


def run_until_all_finished(
    handles: list[ScriptedReqHandle], *, max_steps: int = DEFAULT_MAX_STEPS
) -> Iterator[None]:
    """Step until all requests have finished; each is asked at every step, as SGLang's helper does."""
    unfinished = list(handles)
    for _ in range(max_steps):
        unfinished = [handle for handle in unfinished if not handle.finished]
        if not unfinished:
            return
        yield
    names = [handle.rid for handle in unfinished]
    raise AssertionError(f"run_until_all_finished: after {max_steps} steps {names} had not finished")


def warmup_radix(
    t: ScriptedContext, prompt_tokens: list[int], *, max_steps: int = DEFAULT_MAX_STEPS
) -> Iterator[None]:
    """Put a prompt into the tree cache by running it; the prompt repeats one token."""
    if not prompt_tokens or len(set(prompt_tokens)) != 1:
        raise AssertionError("warmup_radix: expected a prompt of one or more equal tokens")
    handle = t.start_req(prompt_len=len(prompt_tokens), max_new_tokens=1, prompt_token=prompt_tokens[0])
    yield from run_until_finished(handle, max_steps=max_steps)


def exhaust_row_pool(
    t: ScriptedContext, *, leave_rows: int, max_steps: int = DEFAULT_MAX_STEPS
) -> Iterator[None]:
    """Fill the request rows with running requests until `leave_rows` are free.

    `ScriptedReqRowExhauster` takes rows without running anything; this keeps SGLang's own way.
    """
    rows = t.engine.row_pool
    wanted = rows.available_rows() - leave_rows
    if wanted <= 0:
        return
    for _ in range(wanted):
        t.start_req(prompt_len=1, max_new_tokens=BALLAST_MAX_NEW_TOKENS, ignore_eos=True)
    for _ in range(max_steps):
        if rows.available_rows() <= leave_rows:
            return
        yield
    raise AssertionError(
        f"exhaust_row_pool: {rows.available_rows()} rows still free after {max_steps} steps, "
        f"expected at most {leave_rows}"
    )


def advance_to_nth_chunk(
    r: ScriptedReqHandle, target_chunk: int, *, max_steps: int = DEFAULT_MAX_STEPS
) -> Iterator[None]:
    """Step until `target_chunk` prefill chunks of the request have run."""
    for _ in range(max_steps):
        if r.finished:
            raise AssertionError(f"{r.rid!r} finished before chunk {target_chunk}")
        if r.chunks_done >= target_chunk:
            return
        yield
    raise AssertionError(f"{r.rid!r} did not reach chunk {target_chunk} (chunks_done={r.chunks_done})")


def advance_to_decode_step(
    r: ScriptedReqHandle, target_output_len: int, *, max_steps: int = DEFAULT_MAX_STEPS
) -> Iterator[None]:
    """Step until the request has `target_output_len` output tokens."""
    for _ in range(max_steps):
        if r.finished:
            raise AssertionError(f"{r.rid!r} finished before output token {target_output_len}")
        if r.output_tokens >= target_output_len:
            return
        yield
    raise AssertionError(f"{r.rid!r} did not reach output token {target_output_len}")


def advance_to_lifecycle_stage(
    r: ScriptedReqHandle,
    stage: str,
    *,
    num_middle_chunks: int,
    max_new_tokens: int,
    max_steps: int = DEFAULT_MAX_STEPS,
) -> Iterator[None]:
    """Step until the request is at one of `LIFECYCLE_STAGES`."""
    chunks = {"first_chunk": 1, "last_chunk": num_middle_chunks}
    outputs = {
        "first_decode": 1,
        "mid_decode": max(1, max_new_tokens // 2),
        "last_decode": max_new_tokens - 1,
    }
    if stage in chunks:
        yield from advance_to_nth_chunk(r, chunks[stage], max_steps=max_steps)
    elif stage in outputs:
        yield from advance_to_decode_step(r, outputs[stage], max_steps=max_steps)
    else:
        raise AssertionError(f"stage={stage!r}: expected one of {LIFECYCLE_STAGES}")
