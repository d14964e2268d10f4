"""What a script of a campaign does: a list of frozen operations, written as JSON, with a digest.

The second phase is no operation: every script is drained at its end, with all pressure released and no
arrivals.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

from exhausters.errors import FuzzScriptError
from exhausters.pressure.levels import PressureLevels
from exhausters.scripted.judged_run import COMPILING, STAGES
from exhausters.workloads import Request, Segment, Session

PAUSE_MODES = ("retract", "in_place")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that a script does.

    Attributes:
        name: what it is called in JSON.
    """

    name: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Return it in plain values."""
        return {"op": self.name}


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit(Operation):
    """Send a request, whose arrival time plays no part.

    A later turn of a session is sent only if the turn before has ended as it should.
    """

    name: ClassVar[str] = "submit"
    request: Request

    def to_json(self) -> dict[str, Any]:
        """Return it in plain values."""
        one = self.request
        shown: dict[str, Any] = {
            "op": self.name,
            "rid": one.rid,
            "prompt": [[part.seed, part.length] for part in one.prompt],
            "max_new_tokens": one.max_new_tokens,
        }
        if one.priority is not None:
            shown["priority"] = one.priority
        if one.ignore_eos:
            shown["ignore_eos"] = True
        for name in ("logprobs_from", "adapter", "grammar_steps", "after"):
            if getattr(one, name) is not None:
                shown[name] = getattr(one, name)
        if one.session is not None:
            shown["session"] = asdict(one.session)
        return shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort(Operation):
    """Abort a request once it is at a stage.

    Attributes:
        rid: the request.
        stage: one of `STAGES`, or `COMPILING`; None for whatever it is at.
        within_steps: steps that are taken until then, at most; without the stage nothing is aborted.
    """

    name: ClassVar[str] = "abort"
    rid: str
    stage: str | None = None
    within_steps: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it in plain values."""
        when = {} if self.stage is None else {"stage": self.stage, "within_steps": self.within_steps}
        return {"op": self.name, "rid": self.rid, **when}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause(Operation):
    """Pause generation; `mode` is one of `PAUSE_MODES`."""

    name: ClassVar[str] = "pause"
    mode: str

    def to_json(self) -> dict[str, Any]:
        """Return it in plain values."""
        return {"op": self.name, "mode": self.mode}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(Operation):
    """Resume generation."""

    name: ClassVar[str] = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhaust(Operation):
    """Take down to levels, once or held."""

    name: ClassVar[str] = "exhaust"
    levels: PressureLevels

    def to_json(self) -> dict[str, Any]:
        """Return it in plain values."""
        held = {"held": True} if self.levels.held else {}
        return {"op": self.name, **self.levels.given(), **held}


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Operation):
    """Give back all that is held."""

    name: ClassVar[str] = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush(Operation):
    """Empty the cache, in one step, if the engine is idle and nothing is held."""

    name: ClassVar[str] = "flush"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps(Operation):
    """Let the engine take some steps."""

    name: ClassVar[str] = "steps"
    count: int

    def to_json(self) -> dict[str, Any]:
        """Return it in plain values."""
        return {"op": self.name, "count": self.count}


@dataclass(frozen=True, kw_only=True)
class FuzzScript:
    """One script of a campaign, without what it is played on.

    Attributes:
        operations: in order.
    """

    operations: tuple[Operation, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over its JSON, in hexadecimal, the first 16 digits."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> list[dict[str, Any]]:
        """Return the operations in plain values."""
        return [one.to_json() for one in self.operations]

    @classmethod
    def from_json(cls, values: Sequence[Mapping[str, Any]]) -> FuzzScript:
        """Return the script that `to_json` wrote.

        Raises:
            FuzzScriptError: an operation that there is not, or whose values make no sense; says which.
        """
        return cls(operations=tuple(_operation(number, one) for number, one in enumerate(values)))


def _operation(number: int, values: Mapping[str, Any]) -> Operation:
    given = dict(values)
    name = given.pop("op", None)
    make = _MAKE.get(str(name))
    if make is None:
        raise FuzzScriptError(f"operation {number}: op={name!r}: expected one of {', '.join(_MAKE)}")
    try:
        made: Operation = make(given)
    except (TypeError, KeyError, ValueError) as error:
        raise FuzzScriptError(f"operation {number} ({name}): {error}") from error
    return made


def _submit(given: dict[str, Any]) -> Submit:
    prompt = tuple(Segment(seed=seed, length=length) for seed, length in given.pop("prompt"))
    session = given.pop("session", None)
    turn = None if session is None else Session(**session)
    return Submit(request=Request(arrival_seconds=0.0, prompt=prompt, session=turn, **given))


def _abort(given: dict[str, Any]) -> Abort:
    if given.get("stage") not in (None, *STAGES, COMPILING):
        raise ValueError(f"stage={given['stage']!r}: expected one of {', '.join((*STAGES, COMPILING))}")
    return Abort(**given)


def _pause(given: dict[str, Any]) -> Pause:
    if given.get("mode") not in PAUSE_MODES:
        raise ValueError(f"mode={given.get('mode')!r}: expected one of {', '.join(PAUSE_MODES)}")
    return Pause(**given)


def _exhaust(given: dict[str, Any]) -> Exhaust:
    return Exhaust(levels=PressureLevels(**given))


_MAKE: Mapping[str, Any] = {
    Submit.name: _submit,
    Abort.name: _abort,
    Pause.name: _pause,
    Resume.name: lambda given: Resume(**given),
    Exhaust.name: _exhaust,
    Release.name: lambda given: Release(**given),
    Flush.name: lambda given: Flush(**given),
    Steps.name: lambda given: Steps(**given),
}
