"""Sessions for the conversations of any workload: the argument `sessions` of every builder and reader."""

from __future__ import annotations

from dataclasses import replace
from inspect import Parameter

from exhausters.errors import WorkloadError
from exhausters.workloads.request import Request, Session
from exhausters.workloads.workload import Workload

ARGUMENT = "sessions"
#: How the argument looks beside a builder's own.
PARAMETER = Parameter(ARGUMENT, Parameter.KEYWORD_ONLY, default=None, annotation=str | None)
# The engine keeps the tokens alone, or KV and a request row as well.
PLAIN, STREAMING = "plain", "streaming"


def with_sessions(workload: Workload, kind: str) -> Workload:
    """Return the workload whose conversations are sessions: each turn sends only what is new.

    A conversation is a request and those that follow it, one after the other. Prompts stay what they are;
    what is sent of a later turn is what stands behind the prompt and the outputs of the turn before.

    Args:
        workload: one with conversations.
        kind: `plain` or `streaming`.

    Raises:
        WorkloadError: another kind, no conversation, or a turn whose prompt does not begin with that of the
            turn before and its outputs, or that follows the same turn as another.
    """
    if kind not in (PLAIN, STREAMING):
        raise WorkloadError(f"{ARGUMENT}={kind!r}: must be {PLAIN} or {STREAMING}")
    turns: dict[str, Request] = {}
    continued: set[str] = set()
    for request in workload.requests:
        before = None if request.after is None else turns[request.after]
        if before is None:
            session = Session(name=f"session-{request.rid}", streams=kind == STREAMING)
        else:
            assert before.session is not None, "every turn has a session"
            if before.rid in continued:
                raise WorkloadError(
                    f"{ARGUMENT}={kind}: {request.rid!r} follows {before.rid!r}, as another request does; a "
                    "session has one turn after the other"
                )
            continued.add(before.rid)
            session = replace(before.session, has_tokens=_tokens_before(before, request))
        turns[request.rid] = replace(request, session=session)
    if not continued:
        raise WorkloadError(
            f"{ARGUMENT}={kind}: {workload.name!r} has no conversation: no request follows another; take "
            "agents"
        )
    return replace(workload, requests=tuple(turns.values()))


def _tokens_before(before: Request, request: Request) -> int:
    """Tokens that the session has when the turn is sent."""
    place = len(before.prompt)
    behind = request.prompt[place] if len(request.prompt) > place + 1 else None
    if (
        request.prompt[:place] != before.prompt
        or behind is None
        or behind.seed is not None
        or behind.length != before.output_tokens
    ):
        raise WorkloadError(
            f"{request.rid!r}: its prompt is not that of {before.rid!r}, its {before.output_tokens} outputs, "
            "and something new; it cannot be a turn of a session"
        )
    return before.prompt_tokens + before.output_tokens
