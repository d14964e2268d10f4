"""How the KV of a request travels between a prefill and a decode engine."""

from __future__ import annotations

from dataclasses import dataclass

from exhausters.errors import WorkloadError

# How a transfer ends.
ARRIVES, STALLS, UNANSWERED, DRIVEN, FAILS = "arrives", "stalls", "unanswered", "driven", "fails"
FATES = (ARRIVES, STALLS, UNANSWERED, DRIVEN, FAILS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Transfer:
    """One transfer, in steps of the engine that waits for it.

    Args:
        steps: from the step in which all is sent, or the place for it is known, to the step in which it has
            arrived; 0 for the same step.
        handshake_steps: from the request's arrival until the other side has answered; before that nothing is
            reserved or computed for it.
        fate: ARRIVES; FAILS, after its steps; STALLS until a script lets it go on; UNANSWERED: the handshake
            stalls likewise; DRIVEN: both do.

    Raises:
        WorkloadError: steps that are no integer >= 0, or an unknown fate.
    """

    steps: int = 1
    handshake_steps: int = 0
    fate: str = ARRIVES

    def __post_init__(self) -> None:
        for name in ("steps", "handshake_steps"):
            require_count(f"Transfer.{name}", getattr(self, name))
        if self.fate not in FATES:
            raise WorkloadError(f"Transfer.fate={self.fate!r}: must be one of {', '.join(FATES)}")

    def to_list(self) -> list[int | str]:
        """Return the fields in plain values, for digests."""
        return [self.steps, self.handshake_steps, self.fate]


def require_count(name: str, value: object) -> None:
    """Raise `WorkloadError` unless `value` is an integer >= 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise WorkloadError(f"{name}={value!r}: must be an integer >= 0")
