"""What a run in an engine of a disaggregated pair waits for."""

from __future__ import annotations

from exhausters.engine.api import Engine
from exhausters.workloads import Request

# Who keeps such a run from going on: the transfer engine, or the scheduler, which reserves nothing.
BY_TRANSFER, BY_PREALLOCATION, BY_SCHEDULER = "transfer", "preallocation", "scheduler"


def is_transferring(engine: Engine) -> bool:
    """Whether a transfer, or a handshake, will end by itself: a step without a forward is no stall then."""
    return engine.transfers is not None and engine.transfers.are_under_way()


def transfer_steps(request: Request) -> int:
    """Steps that the transfer of a request takes, its handshake included."""
    transfer = request.transfer
    return 0 if transfer is None else transfer.steps + transfer.handshake_steps


def stalled_transfers(engine: Engine) -> tuple[str, str]:
    """Say what a stalled run waits for, as a part of a sentence, and who keeps it from going on.

    Returns:
        Both empty for an engine that runs alone.
    """
    if engine.transfers is None:
        return "", ""
    queues, stalled = engine.transfers.queues(), engine.transfers.stalled_rids()
    by = BY_TRANSFER if stalled else BY_PREALLOCATION if queues.preallocating else BY_SCHEDULER
    first = (
        f", {len(stalled)} of them stalled by the transfer engine (first: {stalled[0]})" if stalled else ""
    )
    return (
        f"; {len(queues.bootstrapping)} wait for the other engine, {len(queues.preallocating)} to be "
        f"preallocated, {len(queues.transferring)} for their transfers{first}"
    ), by
