"""What a decision log alone does not say about its run, and the file that keeps it beside the log."""

from __future__ import annotations

import gzip
import json
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from exhausters.errors import LogFormatError
from exhausters.observe.latency import GoodputLimits

# They follow from the workload.
_NEVER_STORED = ("sequences", "adapters")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a log alone does not contain.

    Attributes:
        chunk_budget_tokens: the chunked-prefill size; None when chunking is off.
        submitted_steps: step at which each request was submitted, by request id.
        wanted_outputs: output tokens to be emitted, by request id; every request of the workload is in it.
        shortened_outputs: output tokens asked for where the scheduler lets a request emit fewer, by its id;
            `wanted_outputs` has what it lets them.
        arrival_ns: modelled time at which each request arrived, by request id.
        sequences: token ids of prompt and outputs, by request id; without them only what a request computed
            itself is known to be recomputed. Never stored: they follow from the workload.
        adapters: the adapter that each request names, by request id, where it names one. Never stored either.
        warm_rids: requests of the warm-up, whose sequences were computed before the run.
        page_size: tokens per page, the unit in which prefixes can be shared.
        emitted_token: the token id that the null model emitted; None when it is not known, or when its text
            depended on content.
        goodput: limits that a request must keep to count.
    """

    chunk_budget_tokens: int | None
    submitted_steps: Mapping[str, int]
    wanted_outputs: Mapping[str, int]
    shortened_outputs: Mapping[str, int] = field(default_factory=dict)
    arrival_ns: Mapping[str, int] = field(default_factory=dict)
    sequences: Mapping[str, array[int]] = field(default_factory=dict)
    adapters: Mapping[str, str] = field(default_factory=dict)
    warm_rids: tuple[str, ...] = ()
    page_size: int = 1
    emitted_token: int | None = None
    goodput: GoodputLimits = field(default_factory=GoodputLimits)

    def without_sequences(self) -> RunFacts:
        """Return what is sent to the parent and stored."""
        return replace(self, sequences={}, adapters={})

    def to_bytes(self) -> bytes:
        """Return the facts that are stored as compressed JSON; equal facts give equal bytes."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _NEVER_STORED}
        limits = {one.name: getattr(self.goodput, one.name) for one in fields(self.goodput)}
        text = json.dumps({**values, "goodput": limits}, separators=(",", ":"))
        return gzip.compress(text.encode(), mtime=0)

    @classmethod
    def read(cls, path: Path) -> RunFacts:
        """Read a file that holds what `to_bytes` returned.

        Raises:
            LogFormatError: the file is missing, cut off, or holds something else.
        """
        try:
            return cls.from_bytes(path.read_bytes())
        except (OSError, LogFormatError) as error:
            raise LogFormatError(f"{path}: {error}") from error

    @classmethod
    def from_bytes(cls, content: bytes) -> RunFacts:
        """Return the facts that `to_bytes` wrote.

        Raises:
            LogFormatError: the content is cut off, or something else.
        """
        try:
            values: dict[str, Any] = json.loads(gzip.decompress(content))
            return cls(
                **{
                    **values,
                    "warm_rids": tuple(values["warm_rids"]),
                    "goodput": GoodputLimits(**values["goodput"]),
                }
            )
        except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError) as error:
            raise LogFormatError(f"not the facts of a run: {error}") from error
