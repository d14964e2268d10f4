"""Scripts on one engine of a disaggregated pair. Run inside the worker."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from exhausters.workloads import Transfer


def _counts(t: Any) -> dict[str, Any]:
    """Who waits for what, and what is free."""
    queues, snapshot = t.transfers.queues(), t.engine.snapshot()
    return {
        "bootstrapping": list(queues.bootstrapping),
        "preallocating": list(queues.preallocating),
        "transferring": list(queues.transferring),
        "free": (snapshot.free_tokens + snapshot.evictable_tokens, snapshot.free_rows),
        "slots": snapshot.free_prealloc_slots,
    }


def _until_idle(t: Any, most: int = 64) -> Generator[None, None, int]:
    for step in range(most):
        if t.is_fully_idle and not t.has_unreceived:
            return step
        yield
    raise AssertionError(f"not idle after {most} steps: {_counts(t)}")


def _steps(count: int) -> Generator[None, None, None]:
    for _ in range(count):
        yield


def one_fails(t: Any) -> Generator[None, None, dict[str, Any]]:
    """Two requests; the transfer of one fails after two steps, in mid-flight; what is left of it?"""
    before = _counts(t)
    good = t.start_req(prompt_len=40, max_new_tokens=4, rid="good", transfer=Transfer(steps=2))
    t.start_req(
        prompt_len=70, max_new_tokens=4, rid="bad", prompt_token=9, transfer=Transfer(steps=2, fate="fails")
    )
    seen = []
    for _ in range(2):
        yield
        seen.append(t.status("bad"))
    yield from _until_idle(t)
    events = t.transfers.take_events()
    return {
        "seen": seen,
        "before": before,
        "after": _counts(t),
        "failed": events.failed_rids,
        "arrived": [one.rid for one in events.arrived],
        "good": t.batch_log.has_run(good.rid),
    }


def stalls_and_goes_on(t: Any) -> Generator[None, None, dict[str, Any]]:
    """A transfer that a script stalls, and lets go again; another that it lets arrive at once."""
    t.start_req(prompt_len=40, max_new_tokens=2, rid="stalls", transfer=Transfer(steps=2))
    t.start_req(prompt_len=40, max_new_tokens=2, rid="slow", prompt_token=9, transfer=Transfer(steps=1_000))
    yield from _steps(2)
    t.transfers.stall("stalls")
    yield from _steps(20)
    found = {"stalled": t.transfers.stalled_rids(), "status": (t.status("stalls"), t.status("slow"))}
    t.transfers.let_go("stalls")
    t.transfers.arrive("slow")
    yield from _until_idle(t)
    arrived = [one.rid for one in t.transfers.take_events().arrived]
    return {**found, "arrived": arrived, "after": (t.status("stalls"), t.status("slow"))}


def blocked(t: Any, level: str, left: int) -> Generator[None, None, dict[str, Any]]:
    """Requests under a held level that leaves room for too few; what waits, and what happens on release?"""
    t.exhaust(**{level: left}, held=True)
    for number in range(3):
        t.start_req(prompt_len=64, max_new_tokens=2, rid=f"r{number}", prompt_token=20 + number)
    yield from _steps(8)
    under = _counts(t)
    running = (list(t.engine.running_rids()), t.batch_log.has_run("r0"))
    t.release_pressure()
    yield from _until_idle(t)
    arrived = [one.rid for one in t.transfers.take_events().arrived]
    return {"under": under, "running": running, "arrived": arrived, "after": _counts(t)}


def aborted(t: Any) -> Generator[None, None, dict[str, Any]]:
    """Requests that are aborted while they are in transfer, and before the other side has answered."""
    before = _counts(t)
    stalls, unanswered = Transfer(fate="stalls"), Transfer(fate="unanswered")
    t.start_req(prompt_len=40, max_new_tokens=2, rid="in-transfer", transfer=stalls)
    t.start_req(prompt_len=40, max_new_tokens=2, rid="unanswered", prompt_token=9, transfer=unanswered)
    yield from _steps(4)
    during = _counts(t)
    t.abort_all()
    yield from _until_idle(t)
    failed = t.transfers.take_events().failed_rids
    return {"before": before, "during": during, "after": _counts(t), "failed": failed}


def unanswered(t: Any) -> Generator[None, None, dict[str, Any]]:
    """A request whose handshake takes five steps: nothing is reserved or computed for it before."""
    before = _counts(t)["free"]
    t.start_req(prompt_len=40, max_new_tokens=2, rid="late", transfer=Transfer(handshake_steps=5, steps=0))
    seen = []
    for _ in range(7):
        yield
        counts = _counts(t)
        seen.append((counts["bootstrapping"], counts["free"] == before))
    yield from _until_idle(t)
    return {"seen": seen, "arrived": [one.rid for one in t.transfers.take_events().arrived]}
