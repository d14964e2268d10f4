"""Both engines of a disaggregated pair on one virtual clock: what one prefills, the other decodes.

Each engine runs in a worker of its own. The process between them lets the one step whose next step begins
first, and hands over what the other has told; so the run is as reproducible as that of one engine.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from exhausters.engine.api import DECODE_ROLE, PREFILL_ROLE
from exhausters.engine.settings import HostSettings
from exhausters.errors import UsageError
from exhausters.observe.transfer_time import TransferTime
from exhausters.pressure import PressureLevels
from exhausters.sweep.cell import Cell, EngineSettings
from exhausters.sweep.joined_messages import Go, PairEvent, Ran, Stop
from exhausters.sweep.joined_side import run_side
from exhausters.sweep.record import ABORTED, DRAINED, STALLED, TIMEOUT, CellResult
from exhausters.sweep.run_options import DrainLimits, RunOptions
from exhausters.targets import PreparedTarget
from exhausters.worker.host import Host
from exhausters.workloads import Workload, parse_workload

# In the order in which they step when both would begin at the same time.
_ROLES = (PREFILL_ROLE, DECODE_ROLE)
# How often it is looked whether an engine that has not connected has failed.
_LOOK_SECONDS = 0.2

__all__ = ["DECODE_ROLE", "PREFILL_ROLE", "JoinedResult", "joined_cell", "run_joined", "run_on_target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedResult:
    """What a joined run did.

    Attributes:
        outcome: one of the outcomes of a run; `reason` says why it is not `drained`.
        prefill, decode: what each engine recorded; times to the first token are in `decode`.
        transfer_model: name of the model of the link.
    """

    outcome: str
    reason: str
    prefill: CellResult
    decode: CellResult
    transfer_model: str


def run_joined(
    prefill: Host,
    decode: Host,
    workload: Workload,
    *,
    prefill_cell: Cell,
    decode_cell: Cell,
    options: RunOptions | None = None,
    transfer_time: TransferTime | None = None,
) -> JoinedResult:
    """Run a workload through both engines.

    Args:
        prefill, decode: booted with `disaggregation_mode` of that name.
        prefill_cell, decode_cell: the pressure on each, and the settings that each was booted with.

    Raises:
        UsageError: a host has another role.
        ExhaustersError: what either engine's script raises.
    """
    for host, role in ((prefill, PREFILL_ROLE), (decode, DECODE_ROLE)):
        if host.facts.get("role") != role:
            raise UsageError(
                f"role={host.facts.get('role', '')!r}: expected an engine that is booted with "
                f"disaggregation_mode={role!r}"
            )
    options, transfer_time = options or RunOptions(), transfer_time or TransferTime()
    with tempfile.TemporaryDirectory(prefix="exhausters-pair-") as folder:
        address = str(Path(folder) / "pair")
        with _listening(address) as listener, ThreadPoolExecutor(2) as threads:
            runs: list[Future[CellResult]] = [
                threads.submit(host.run, run_side, cell, workload, address, options, transfer_time)
                for host, cell in ((prefill, prefill_cell), (decode, decode_cell))
            ]
            ended = _between(listener, runs, options)
            results = [run.result() for run in runs]
    outcome, reason = ended
    short = int(results[1].metrics["unfinished_requests"] or 0)
    if outcome == DRAINED and short:
        outcome, reason = ABORTED, f"{short} requests ended before all their tokens were emitted"
    sides = [replace(one, outcome=outcome, reason=reason) for one in results]
    return JoinedResult(
        outcome=outcome,
        reason=reason,
        prefill=sides[0],
        decode=sides[1],
        transfer_model=transfer_time.name,
    )


def joined_cell(
    role: str,
    *,
    workload: str,
    levels: Mapping[str, int] | None = None,
    max_total_tokens: int = 4_096,
    max_running_requests: int = 32,
    overlap: bool = True,
    reserved_tokens: int = 64,
) -> Cell:
    """Return the cell of one engine of a pair, whose pressure is held.

    Args:
        role: `prefill` or `decode`.
        workload: canonical text of the workload.
        levels: the pressure on it, by the names of the levels.
        max_total_tokens, max_running_requests, overlap: as `EngineSettings` has them.
        reserved_tokens: of a decode engine, KV tokens that it keeps for each request that it admits.
    """
    switches: dict[str, str | int] = {"disaggregation_mode": role}
    if role == DECODE_ROLE:
        switches["num_reserved_decode_tokens"] = reserved_tokens
    engine = EngineSettings(
        max_total_tokens=max_total_tokens,
        max_running_requests=max_running_requests,
        overlap=overlap,
        server_args=tuple(switches.items()),
    )
    pressure = PressureLevels(held=bool(levels), **(levels or {}))
    return Cell(workload=workload, engine=engine, levels=pressure)


def run_on_target(target: PreparedTarget, prefill_cell: Cell, decode_cell: Cell) -> JoinedResult:
    """Boot both engines, run their workload once, and end them; raises what `run_joined` and boots raise."""
    workload = parse_workload(prefill_cell.workload)
    with _booted(target, prefill_cell) as prefill, _booted(target, decode_cell) as decode:
        return run_joined(prefill, decode, workload, prefill_cell=prefill_cell, decode_cell=decode_cell)


def _booted(target: PreparedTarget, cell: Cell) -> Host:
    engine = cell.engine
    return Host(target, HostSettings(engine=engine.engine_keywords(), switches=dict(engine.server_args)))


def _listening(address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    listener.settimeout(_LOOK_SECONDS)
    return listener


def _between(listener: socket.socket, runs: list[Future[CellResult]], options: RunOptions) -> tuple[str, str]:
    """Let both run; returns how it ended. Where one fails, the other ends with its connection."""
    sides: dict[str, Connection] = {}
    try:
        states: dict[str, Ran] = {}
        while len(sides) < len(_ROLES):
            connection = _accepted(listener, runs)
            if connection is None:
                return ABORTED, "an engine has ended"
            role, state = connection.recv()
            sides[role], states[role] = connection, state
        return _coordinate(sides, states, options)
    except (EOFError, ConnectionError):
        return ABORTED, "an engine has ended"
    finally:
        for connection in sides.values():
            connection.close()


def _accepted(listener: socket.socket, runs: list[Future[CellResult]]) -> Connection | None:
    """The next engine's connection; None when a run has ended before it came."""
    while not any(run.done() for run in runs):
        try:
            accepted, _ = listener.accept()
        except TimeoutError:
            continue
        accepted.setblocking(True)
        return Connection(accepted.detach())
    return None


def _coordinate(
    sides: Mapping[str, Connection], states: dict[str, Ran], options: RunOptions
) -> tuple[str, str]:
    pending: dict[str, list[PairEvent]] = {role: [] for role in _ROLES}
    limits = options.limits
    while True:
        times = {role: _begins(states[role], pending[role]) for role in _ROLES}
        ready = [role for role in _ROLES if times[role] is not None]
        ended = (DRAINED, "") if not ready else _end(states, pending, limits)
        if ended is not None:
            for connection in sides.values():
                connection.send(Stop())
            return ended
        role = min(ready, key=lambda one: (times[one] or 0, _ROLES.index(one)))
        other = _ROLES[1 - _ROLES.index(role)]
        until = times[other]
        if until is not None and role == DECODE_ROLE:
            until -= 1
        sides[role].send(Go(events=tuple(pending[role]), until_ns=until))
        pending[role] = []
        states[role] = sides[role].recv()
        pending[other] += states[role].events


def _begins(state: Ran, pending: list[PairEvent]) -> int | None:
    """When an engine's next step begins, given what it is to be told."""
    times = [one.time_ns for one in pending]
    if state.next_ns is not None:
        times.append(state.next_ns)
    return min(times, default=None)


def _end(
    states: Mapping[str, Ran], pending: Mapping[str, list[PairEvent]], limits: DrainLimits
) -> tuple[str, str] | None:
    """How the run has ended before it has drained; None when it goes on."""
    if any(state.steps >= limits.max_steps for state in states.values()):
        return TIMEOUT, f"not drained within {limits.max_steps} steps of an engine"
    quiet = (state.next_ns is None or state.quiet_steps >= limits.stall_steps for state in states.values())
    if all(quiet) and not any(pending.values()):
        stuck = " and ".join(role for role in _ROLES if states[role].next_ns is not None)
        return STALLED, f"nothing runs, comes or is told for {limits.stall_steps} steps; not idle: {stuck}"
    return None
