"""SGLang's own request log, as JSON lines: replays what a server received.

Written by a server started with `--log-requests --log-requests-format json` and, for a file instead
of standard output, `--log-requests-target DIR`. Each line carries the logging prefix, then JSON:

    [2026-01-31 12:00:00] {"timestamp": "2026-01-31T12:00:00.250000", "event": "request.finished",
     "rid": "...", "obj": {"input_ids": [...], "priority": null, ...},
     "out": {"meta_info": {"prompt_tokens": 9, "completion_tokens": 4, "e2e_latency": 0.2, ...}}}

Fields used (seen unchanged in releases 0.5.13 to 0.5.23, sglang/srt/utils/request_logger.py):

* of `request.received`: `timestamp` and `rid` (a list for a batch), for the arrival time;
* of `request.finished`: `rid`, `out.meta_info.prompt_tokens` and `.completion_tokens` for the
  lengths, `obj.priority`, and without a `request.received` also `timestamp` minus
  `out.meta_info.e2e_latency` (seconds);
* `obj.input_ids` for sharing. Level 3 logs all of them, level 2 the first and last 1,024, levels 0
  and 1 none, and requests sent as text have none at any level. Known ids are cut into blocks; equal
  prefixes of whole blocks stay equal, everything else is assumed to share nothing.

The pickle dumps (`dump_requests_folder`, `--crash-dump-folder`) are not read: unpickling runs code.
"""

from __future__ import annotations

import hashlib
import os
import re
from array import array
from datetime import datetime, timedelta
from fractions import Fraction

from exhausters.errors import WorkloadError
from exhausters.workloads.request import require_int
from exhausters.workloads.trace_fields import get_field, parse_object, require_time, require_tokens
from exhausters.workloads.traces import TraceOptions, TraceRow, read_trace
from exhausters.workloads.workload import Workload

_PREFIX = re.compile(r"^\[[^\]]*\] (?=\{)")
_EPOCH = datetime(1970, 1, 1)  # the log's times have no zone; only gaps between them count
_CUT = "..."  # what SGLang puts in place of the middle of a long list
_HEALTH_CHECK_RID = "HEALTH_CHECK"
_TOKEN_ID_MAX = (1 << 63) - 1


def read_sglang_log(
    path: str | os.PathLike[str],
    *,
    scale: Fraction | float | str = 1,
    max_requests: int | None = None,
    time_stretch: float = 1.0,
    skip_bad_lines: bool = False,
    warmup_requests: int = 0,
    block_tokens: int = 64,
) -> Workload:
    """Read a request log; options as in `TraceOptions`.

    Requests are in the file in the order they finished: `max_requests` takes those that finished
    first, and they are then sorted by arrival. `max_new_tokens` is what was generated, not what
    was asked for. Health checks and other log lines are left out and counted as other lines.

    Args:
        block_tokens: granularity at which shared prefixes of logged ids are kept, in tokens before
            scaling, >= 1; times `scale` it must be a whole number.

    Raises:
        WorkloadError: names file, line number and field.
    """
    require_int("block_tokens", block_tokens, minimum=1)
    options = TraceOptions(
        scale=scale,
        max_requests=max_requests,
        time_stretch=time_stretch,
        skip_bad_lines=skip_bad_lines,
        warmup_requests=warmup_requests,
    )
    options.require_whole_blocks(block_tokens)
    log = _Log(block_tokens)
    return read_trace(path, trace_format="sglang_log", parse=log.parse, options=options, time_field=None)


class _Log:
    """Remembers when each open request was received, and the blocks seen so far."""

    def __init__(self, block_tokens: int) -> None:
        self._block_tokens = block_tokens
        self._received: dict[str, Fraction] = {}
        self._seeds: dict[bytes, int] = {}
        self._next_seed = 0

    def parse(self, line: int, text: str) -> TraceRow | None:
        text = _PREFIX.sub("", text, count=1)
        if not text.startswith('{"'):
            return None  # a server's standard output holds other lines too
        event = parse_object(text)
        if event.get("event") == "request.received":
            self._receive(event)
        elif event.get("event") == "request.finished":
            return self._finish(line, event)
        return None

    def _receive(self, event: dict[str, object]) -> None:
        rid = get_field(event, "rid")
        seconds = _timestamp(event)
        for one in rid if isinstance(rid, list) else [rid]:
            self._received[_rid(one)] = seconds

    def _finish(self, line: int, event: dict[str, object]) -> TraceRow | None:
        rid = _rid(get_field(event, "rid"))
        received = self._received.pop(rid, None)
        if rid.startswith(_HEALTH_CHECK_RID):
            return None
        meta = _object(_object(event, "out"), "meta_info", where="out.")
        where = "out.meta_info."
        obj = _object(event, "obj") if "obj" in event else {}
        prompt_tokens = require_tokens(
            f"{where}prompt_tokens", get_field(meta, "prompt_tokens", where=where), minimum=1
        )
        output_tokens = require_tokens(
            f"{where}completion_tokens", get_field(meta, "completion_tokens", where=where), minimum=0
        )
        if received is None:
            latency = get_field(meta, "e2e_latency", where=where)
            received = _timestamp(event) - require_time(f"{where}e2e_latency", latency, per_second=1)
        priority = obj.get("priority")
        return TraceRow(
            line=line,
            seconds=received,
            prompt=self._prompt(_known_ids(obj.get("input_ids"), prompt_tokens), prompt_tokens),
            output_tokens=output_tokens,
            priority=None if priority is None else require_int("obj.priority", priority),
        )

    def _prompt(self, ids: array[int], prompt_tokens: int) -> tuple[tuple[int, int], ...]:
        """Known blocks, then the rest as one run that no other prompt shares."""
        size = self._block_tokens
        parts: list[tuple[int, int]] = []
        chain = hashlib.sha256()
        for start in range(0, len(ids) - size + 1, size):
            chain.update(ids[start : start + size].tobytes())
            parts.append((self._seed(chain.digest()), size))
        rest = prompt_tokens - size * len(parts)
        if rest:
            parts.append((self._seed(None), rest))
        return tuple(parts)

    def _seed(self, key: bytes | None) -> int:
        """The block's number; numbers in order of appearance reveal nothing of the log's content."""
        if key is not None and key in self._seeds:
            return self._seeds[key]
        self._next_seed += 1
        if key is not None:
            self._seeds[key] = self._next_seed
        return self._next_seed


def _known_ids(value: object, prompt_tokens: int) -> array[int]:
    """The ids known from the start of the prompt on; none if they are not the ids that were served."""
    ids: array[int] = array("q")
    if not isinstance(value, list):
        return ids
    for index, one in enumerate(value):
        if one == _CUT:
            return ids
        if require_int(f"obj.input_ids[{index}]", one, minimum=0) > _TOKEN_ID_MAX:
            raise WorkloadError(f"obj.input_ids[{index}]: must be <= {_TOKEN_ID_MAX}")
        ids.append(one)
    # Images grow into many tokens after logging; the ids do not identify the prompt.
    return ids if len(ids) == prompt_tokens else array("q")


def _object(fields: dict[str, object], name: str, *, where: str = "") -> dict[str, object]:
    value = get_field(fields, name, where=where)
    if not isinstance(value, dict):
        raise WorkloadError(f"{where}{name}={value!r}: must be an object, not {type(value).__name__}")
    return value


def _rid(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise WorkloadError(f"rid={value!r}: must be a non-empty string")
    return value


def _timestamp(event: dict[str, object]) -> Fraction:
    value = get_field(event, "timestamp")
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value).replace(tzinfo=None)
            return Fraction((moment - _EPOCH) // timedelta(microseconds=1), 10**6)
    except ValueError:
        pass
    raise WorkloadError(f"timestamp={value!r}: must look like 2026-01-31T12:00:00.250000")
