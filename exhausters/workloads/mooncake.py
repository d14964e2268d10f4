"""Mooncake traces: JSON lines with the hash of each 512-token block of the prompt.

    {"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47, ..., 2354]}

`timestamp` is in milliseconds; `hash_ids` holds ceil(input_length / 512) numbers, and equal numbers
mean that the prompts agree up to and including that block.

Source: https://github.com/kvcache-ai/Mooncake, folder FAST25-release/traces, Apache-2.0; described
in Qin et al., "Mooncake: Trading More Storage for Less Computation", FAST 2025.
"""

from __future__ import annotations

import os
from fractions import Fraction

from exhausters.errors import WorkloadError
from exhausters.workloads.request import require_int
from exhausters.workloads.trace_fields import get_field, parse_object, require_time, require_tokens
from exhausters.workloads.traces import TraceOptions, TraceRow, read_trace
from exhausters.workloads.workload import Workload

BLOCK_TOKENS = 512
_FIELDS = ("timestamp", "input_length", "output_length", "hash_ids")
_HASH_ID_MAX = (1 << 63) - 1


def read_mooncake(
    path: str | os.PathLike[str],
    *,
    scale: Fraction | float | str = 1,
    max_requests: int | None = None,
    time_stretch: float = 1.0,
    skip_bad_lines: bool = False,
    warmup_requests: int = 0,
) -> Workload:
    """Read a Mooncake trace; each block becomes one segment whose seed is its hash id.

    Options as in `TraceOptions`; 512 * scale must be a whole number of tokens, which is the scaled
    block. Block hits, and with them the ratio of lengths, are those of the trace at any scale.

    Raises:
        WorkloadError: names file, line number and field.
    """
    options = TraceOptions(
        scale=scale,
        max_requests=max_requests,
        time_stretch=time_stretch,
        skip_bad_lines=skip_bad_lines,
        warmup_requests=warmup_requests,
    )
    options.require_whole_blocks(BLOCK_TOKENS)
    return read_trace(path, trace_format="mooncake", parse=_parse, options=options, time_field="timestamp")


def _parse(line: int, text: str) -> TraceRow:
    fields = parse_object(text)
    if unknown := sorted(set(fields) - set(_FIELDS)):
        raise WorkloadError(f"{unknown[0]}: is unknown; the fields are {', '.join(_FIELDS)}")
    seconds = require_time("timestamp", get_field(fields, "timestamp"), per_second=1000)
    input_tokens = require_tokens("input_length", get_field(fields, "input_length"), minimum=1)
    output_tokens = require_tokens("output_length", get_field(fields, "output_length"), minimum=0)
    hash_ids = _hash_ids(get_field(fields, "hash_ids"), input_tokens)
    last = input_tokens - BLOCK_TOKENS * (len(hash_ids) - 1)
    return TraceRow(
        line=line,
        seconds=seconds,
        prompt=(*((hash_id, BLOCK_TOKENS) for hash_id in hash_ids[:-1]), (hash_ids[-1], last)),
        output_tokens=output_tokens,
    )


def _hash_ids(value: object, input_tokens: int) -> list[int]:
    if not isinstance(value, list):
        raise WorkloadError(f"hash_ids={value!r}: must be a list, not {type(value).__name__}")
    blocks = -(-input_tokens // BLOCK_TOKENS)
    if len(value) != blocks:
        raise WorkloadError(
            f"hash_ids: {len(value)} of them: must be {blocks}, one per {BLOCK_TOKENS} tokens of "
            f"input_length={input_tokens}"
        )
    for index, hash_id in enumerate(value):
        if require_int(f"hash_ids[{index}]", hash_id, minimum=0) > _HASH_ID_MAX:
            raise WorkloadError(f"hash_ids[{index}]: must be <= {_HASH_ID_MAX}")
    return value
