"""One engine of a disaggregated pair: its queues, the slots of its transfers, and what moves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

# Which engine of the pair it is.
PREFILL_ROLE, DECODE_ROLE = "prefill", "decode"
ROLES = (PREFILL_ROLE, DECODE_ROLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferQueues:
    """Requests by what they wait for; those of the waiting queue and of batches are in none.

    Attributes:
        bootstrapping: for the other side to answer.
        preallocating: answered, for a slot; of a decode engine also for a row and KV pages.
        transferring: for the end of their transfer; they hold pages, a row and a slot.
        retracted: of a decode engine, for the pages to be brought back to that a retraction took from them.
    """

    bootstrapping: tuple[str, ...] = ()
    preallocating: tuple[str, ...] = ()
    transferring: tuple[str, ...] = ()
    retracted: tuple[str, ...] = ()

    @property
    def not_admitted(self) -> tuple[str, ...]:
        """Those that hold no KV pages yet, or none any more."""
        return self.bootstrapping + self.preallocating + self.retracted


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A transfer that has ended well.

    Attributes:
        rid: the request.
        kv_tokens: tokens whose KV has travelled.
        brings_token: its first output token came with it; False when a request is sent a second time.
    """

    rid: str
    kv_tokens: int
    brings_token: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferEvents:
    """What the engine has seen of its transfers since it was asked last.

    Attributes:
        arrived: transfers that have ended well, in order.
        failed_rids: requests that are lost because their transfer, or the handshake before it, failed.
    """

    arrived: tuple[Arrival, ...] = ()
    failed_rids: tuple[str, ...] = ()


class PreallocSlots(Protocol):
    """The slots for what travels beside the KV; a request needs one before anything is reserved for it."""

    @property
    def total_slots(self) -> int:
        """Slots in all."""

    def available_slots(self) -> int:
        """Slots that are free now."""

    def in_use_slots(self) -> int:
        """Slots that requests own."""

    def take(self, count: int) -> Sequence[int]:
        """Take free slots, all or nothing.

        Raises:
            AllocationShortError: fewer are free.
        """

    def give_back(self, slots: Sequence[int]) -> None:
        """Return the slots of one taking.

        Raises:
            ConservationError: more slots would be free than there are.
        """


class Transfers(Protocol):
    """The transfers of one engine of a pair, which move nothing and end when a script wants it.

    A request's `Submission.transfer` says how its own goes on; what follows changes that, from the engine's
    next look at it on. All that name a request raise UsageError when it was not submitted since the script
    began.
    """

    @property
    def role(self) -> str:
        """One of `ROLES`."""

    @property
    def slots(self) -> PreallocSlots:
        """The slots that a request needs."""

    def queues(self) -> TransferQueues:
        """Return who waits for what."""

    def reserved_tokens(self) -> int:
        """Return the KV tokens of their own that requests in transfer hold, whole pages."""

    def take_events(self) -> TransferEvents:
        """Return what has happened since the last call."""

    def stalled_rids(self) -> tuple[str, ...]:
        """Return those that stall in their transfer, or in the handshake before, while the engine waits."""

    def are_under_way(self) -> bool:
        """Whether a transfer or handshake that the engine waits for will end by itself, as steps pass."""

    def stall(self, rid: str) -> None:
        """Let a transfer go no further, also one that has not begun."""

    def answer(self, rid: str) -> None:
        """Let the handshake of an unanswered request go on; what comes behind it stalls as before."""

    def let_go(self, rid: str) -> None:
        """Let a stalled one go on: the steps that have passed count."""

    def let_all_go(self) -> None:
        """Let every stalled one go on."""

    def arrive(self, rid: str) -> None:
        """Let a transfer end well as soon as the engine looks, whatever steps it has left."""

    def fail(self, rid: str) -> None:
        """Let a transfer, or the handshake before it, fail as soon as the engine looks."""


def outputs_owed(transfers: Transfers | None, asked_tokens: int) -> int:
    """Return how many of the tokens that a request asks for its engine emits: of a prefill engine the first.

    Args:
        transfers: those of the engine; None for one that runs alone.
        asked_tokens: output tokens that the request asks for.
    """
    return min(1, asked_tokens) if transfers is not None and transfers.role == PREFILL_ROLE else asked_tokens
