"""What is sent to the scheduler: segments make prompts, requests make a workload.

Prompts are kept as (seed, length) pairs and expanded to token ids only when they are submitted: a
workload of a million tokens stays small, travels cheaply to the worker, and has a digest.

Everything here is imported inside the worker: standard library only.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from exhausters.errors import WorkloadError
from exhausters.workloads.tokens import EXPANSION_VERSION, expand

#: Version of the canonical form under the digest. Bump it when the form changes.
DIGEST_SCHEMA = 1
#: Longest time, some 30,000 years: anything longer is a mistake.
SECONDS_MAX = 1 << 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A run of tokens; those with equal seeds share their first min(length) tokens.

    Args:
        seed: names the content, >= 0; None means "what the model emitted" (the null model emits
            one fixed token, which the expander is given).
        length: tokens, >= 1.

    Raises:
        WorkloadError: a seed or length of the wrong type or sign.
    """

    seed: int | None
    length: int

    def __post_init__(self) -> None:
        if self.seed is not None:
            require_int("Segment.seed", self.seed, minimum=0)
        require_int("Segment.length", self.length, minimum=1)

    def tokens(self, emitted_token: int) -> array[int]:
        """Token ids, shape (length,), a fresh array of typecode 'q'."""
        if self.seed is None:
            return array("q", [emitted_token]) * self.length
        return expand(self.seed, self.length)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One generation request.

    Args:
        rid: request id, unique in its workload.
        arrival_seconds: modelled time from the start of the workload or, when `after` is given,
            from the moment that request finished (think time of a closed loop). Finite, >= 0.
        prompt: one or more segments.
        max_new_tokens: output length asked for, >= 1, and produced: the null model emits no end token.
        priority: SGLang's scheduling priority; None leaves it to the scheduler.
        after: rid of an earlier request of the same list that must have finished first.
        ignore_eos: ask SGLang to continue after an end token. It then admits the request by its whole
            output instead of an estimate, and so hardly ever retracts; False is what clients send.

    Raises:
        WorkloadError: names the field, the value and what was expected.
    """

    rid: str
    arrival_seconds: float
    prompt: tuple[Segment, ...]
    max_new_tokens: int
    priority: int | None = None
    after: str | None = None
    ignore_eos: bool = False

    def __post_init__(self) -> None:
        _require_text("Request.rid", self.rid)
        where = f"request {self.rid!r}"
        seconds = require_seconds(f"{where}: arrival_seconds", self.arrival_seconds)
        object.__setattr__(self, "arrival_seconds", seconds)
        object.__setattr__(self, "prompt", tuple(self.prompt))
        if not self.prompt or not all(isinstance(part, Segment) for part in self.prompt):
            raise WorkloadError(f"{where}: prompt={self.prompt!r}: must be one or more Segment; add one")
        require_int(f"{where}: max_new_tokens", self.max_new_tokens, minimum=1)
        if self.priority is not None:
            require_int(f"{where}: priority", self.priority)
        if self.after is not None:
            _require_text(f"{where}: after", self.after)
        if not isinstance(self.ignore_eos, bool):
            raise WorkloadError(f"{where}: ignore_eos={self.ignore_eos!r}: must be True or False")

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt in tokens."""
        return sum(part.length for part in self.prompt)

    def tokens(self, emitted_token: int) -> array[int]:
        """Token ids of the prompt, shape (prompt_tokens,), a fresh array of typecode 'q'.

        Args:
            emitted_token: what the null model emits. Below 65536 it can never be taken for the
                first token of a segment.
        """
        ids = array("q")
        for part in self.prompt:
            ids.extend(part.tokens(emitted_token))
        return ids


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """A frozen list of requests with arrival times.

    Args:
        name: short name for cells and reports.
        requests: one or more. Those without `after` are in order of arrival; `after` names an
            earlier one.
        warmup_requests: run to completion before any pressure is applied and before the clock of
            the workload starts, to fill the radix tree.
        seed: what the builder was given; None for traces.
        description: one sentence for people.
        source: where it came from (spec text, or file, format, scale, lines skipped).

    Attributes:
        digest: sha256, in hex, over everything a scheduler could notice: both lists, the schema of
            the canonical form and the version of the token expansion. Name, seed, description and
            source are not part of it: the same requests are the same workload.

    Raises:
        WorkloadError: duplicate rids, a bad `after`, requests out of order, no requests.
    """

    name: str
    requests: tuple[Request, ...]
    warmup_requests: tuple[Request, ...] = ()
    seed: int | None = None
    description: str = ""
    source: Mapping[str, str | int | float | None] = field(default_factory=dict, compare=False)
    digest: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _require_text("Workload.name", self.name)
        if self.seed is not None:
            require_int("Workload.seed", self.seed, minimum=0)
        for name in ("requests", "warmup_requests"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "source", dict(self.source))
        if not self.requests:
            raise WorkloadError(f"workload {self.name!r}: requests=(): must be one or more; add a request")
        rids: set[str] = set()
        _check_list(f"workload {self.name!r}: warmup_requests", self.warmup_requests, rids)
        _check_list(f"workload {self.name!r}: requests", self.requests, rids)
        object.__setattr__(self, "digest", _digest(self.warmup_requests, self.requests))


def require_int(name: str, value: object, *, minimum: int | None = None) -> int:
    """`value` if it is an int (a bool is not) of at least `minimum`, else `WorkloadError`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise WorkloadError(f"{name}={value!r}: must be an integer, not {type(value).__name__}")
    if minimum is not None and value < minimum:
        raise WorkloadError(f"{name}={value}: must be >= {minimum}")
    return value


def require_seconds(name: str, value: object) -> float:
    """`value` as a float if it is a finite number >= 0 (a bool is not), else `WorkloadError`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WorkloadError(f"{name}={value!r}: must be a number of seconds, not {type(value).__name__}")
    if not 0 <= value <= SECONDS_MAX:  # false for NaN too
        raise WorkloadError(f"{name}={value!r}: must be finite, >= 0 and <= {SECONDS_MAX}")
    return float(value) + 0.0  # -0.0 and 0.0 are one instant and must have one digest


def _require_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise WorkloadError(f"{name}={value!r}: must be a non-empty string")


def _check_list(where: str, requests: tuple[Request, ...], rids: set[str]) -> None:
    """Check one list; `rids` holds those already taken and gains the list's own."""
    earlier: set[str] = set()
    clock_seconds = 0.0
    for index, request in enumerate(requests):
        if not isinstance(request, Request):
            raise WorkloadError(f"{where}[{index}]={request!r}: must be a Request")
        if request.rid in rids:
            raise WorkloadError(
                f"{where}[{index}]: rid={request.rid!r}: is already used; each request needs its own"
            )
        if request.after is None:
            if request.arrival_seconds < clock_seconds:
                raise WorkloadError(
                    f"{where}[{index}]: arrival_seconds={request.arrival_seconds}: must be >= "
                    f"{clock_seconds}, that of the request before; sort the requests by arrival"
                )
            clock_seconds = request.arrival_seconds
        elif request.after not in earlier:
            raise WorkloadError(
                f"{where}[{index}]: after={request.after!r}: must be the rid of an earlier request of "
                "the same list; move that request up or drop `after`"
            )
        rids.add(request.rid)
        earlier.add(request.rid)


def _digest(warmup_requests: Iterable[Request], requests: Iterable[Request]) -> str:
    sha = hashlib.sha256(f"exhausters workload {DIGEST_SCHEMA} tokens {EXPANSION_VERSION}\n".encode())
    for title, items in (("warmup", warmup_requests), ("requests", requests)):
        sha.update(f"{title}\n".encode())
        for request in items:
            line = json.dumps(_canonical(request), ensure_ascii=True, separators=(",", ":"))
            sha.update(line.encode() + b"\n")
    return sha.hexdigest()


def _canonical(request: Request) -> list[object]:
    # Floats as hexadecimal text: exact, and independent of how a Python prints them.
    return [
        request.rid,
        request.arrival_seconds.hex(),
        [[part.seed, part.length] for part in request.prompt],
        request.max_new_tokens,
        request.priority,
        request.after,
        request.ignore_eos,
    ]
