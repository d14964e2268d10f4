"""A workload: a frozen list of requests, and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from exhausters.errors import WorkloadError
from exhausters.workloads.request import Request, require_int, require_text
from exhausters.workloads.tokens import EXPANSION_VERSION

#: Version of the canonical form under the digest. Bump it when the form changes.
DIGEST_SCHEMA = 1


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
        require_text("Workload.name", self.name)
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
    later: list[object] = []
    # Fields that older workloads do not have: in the digest where they are used.
    if request.logprobs_from is not None:
        later.append(["logprobs_from", request.logprobs_from])
    if request.frequency_penalty:
        later.append(["frequency_penalty", float(request.frequency_penalty).hex()])
    if request.events:
        later.append(["events", [[one.action, one.stage] for one in request.events]])
    if request.adapter is not None:
        later.append(["adapter", request.adapter])
    if request.grammar_steps is not None:
        later.append(["grammar_steps", request.grammar_steps])
    if request.session is not None:
        session = request.session
        later.append(["session", [session.name, session.streams, session.has_tokens]])
    if request.transfer is not None:
        later.append(["transfer", request.transfer.to_list()])
    return [
        request.rid,
        request.arrival_seconds.hex(),
        [[part.seed, part.length] for part in request.prompt],
        request.max_new_tokens,
        request.priority,
        request.after,
        request.ignore_eos,
        *later,
    ]
