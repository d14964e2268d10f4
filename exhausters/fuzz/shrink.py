"""Cuts a case down as long as the same promise is found broken for the same cause, on the real engine.

First operations are dropped, then lengths halved, then switches of the engine removed; what a switch has made
superfluous is dropped after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from exhausters.errors import ExhaustersError
from exhausters.fuzz.cases import Case
from exhausters.fuzz.features import without_switches
from exhausters.fuzz.operations import Abort, Exhaust, FuzzScript, Operation, Steps, Submit
from exhausters.fuzz.player import Player
from exhausters.oracles import Finding
from exhausters.pressure.levels import PressureLevels
from exhausters.sweep.cell import EngineSettings
from exhausters.why.ddmin import ddmin
from exhausters.workloads import Request

MAX_RUNS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ShrunkCase:
    """The smallest case that was found, and how.

    Attributes:
        case: it still shows the finding.
        finding: as the smallest case shows it.
        runs: how often a script was played.
        is_minimal: whether dropping any one operation was tried and made the finding go away.
        tried: what was tried, in order: a sentence per stage.
    """

    case: Case
    finding: Finding
    runs: int
    is_minimal: bool
    tried: tuple[str, ...]


def shrink_case(
    case: Case, finding: Finding, player: Player, *, max_runs: int = MAX_RUNS
) -> ShrunkCase | None:
    """Return the smallest case that shows the finding; None when it does not come back when played alone.

    Args:
        case: where it was found.
        finding: its promise and cause are what is looked for.
        player: plays the cases.
        max_runs: after so many the best until then is returned.
    """
    return _Shrinking(case=case, finding=finding, player=player, max_runs=max_runs).shrunk()


class _SpentError(Exception):
    """No run is left."""


@dataclass(slots=True, kw_only=True)
class _Shrinking:
    """The smallest case so far, and what it has cost."""

    case: Case
    finding: Finding
    player: Player
    max_runs: int
    runs: int = 0
    tried: list[str] = field(default_factory=list)
    _known: dict[tuple[EngineSettings, str], bool] = field(default_factory=dict)

    def shrunk(self) -> ShrunkCase | None:
        self.player.replace_worker(self.case.engine)
        if not self._shows(self.case):
            return None
        is_minimal = True
        try:
            self._drop_operations()
            while self._halve_lengths():
                self._drop_operations()
            if self._remove_switches():
                self._drop_operations()
                self._halve_lengths()
        except _SpentError:
            is_minimal = False
            self.tried.append(f"stopped after {self.runs} runs: the limit was reached")
        return ShrunkCase(
            case=self.case,
            finding=self.finding,
            runs=self.runs,
            is_minimal=is_minimal,
            tried=tuple(self.tried),
        )

    def _shows(self, case: Case) -> bool:
        """Play a case; it becomes the smallest one when it shows the finding."""
        key = case.engine, case.script.digest
        if key not in self._known:
            if self.runs >= self.max_runs:
                raise _SpentError
            self.runs += 1
            try:
                found = self._found(case)
            except ExhaustersError:  # an engine that does not boot shows nothing
                found = None
            self._known[key] = found is not None
            if found is not None:
                self.case, self.finding = case, found
        return self._known[key]

    def _found(self, case: Case) -> Finding | None:
        for one in self.player.alone(case).findings:
            if (one.promise, one.cause) == (self.finding.promise, self.finding.cause):
                return one
        return None

    def _shows_operations(self, operations: Sequence[Operation]) -> bool:
        script = FuzzScript(operations=_joined(operations))
        return self._shows(replace(self.case, script=script))

    def _drop_operations(self) -> None:
        """Delta debugging over the operations, those after the finding first."""
        before, runs = len(self.case.script.operations), self.runs
        ddmin(self.case.script.operations, self._shows_operations)
        self.tried.append(
            f"operations {before} → {len(self.case.script.operations)} ({self.runs - runs} runs)"
        )

    def _halve_lengths(self) -> bool:
        """Make prompts, outputs, waits and levels smaller; tells whether anything became smaller."""
        before, runs, place = self.case, self.runs, 0
        while place < len(self.case.script.operations):
            operations = self.case.script.operations
            for smaller in _smaller(operations[place]):
                if self._shows_operations((*operations[:place], smaller, *operations[place + 1 :])):
                    break
            else:
                place += 1
        if self.case != before:
            self.tried.append(f"lengths halved ({self.runs - runs} runs)")
        return self.case != before

    def _remove_switches(self) -> bool:
        """Boot without each switch; tells whether any was removed."""
        before, runs = self.case.engine, self.runs
        removed = True
        while removed:
            removed = any(
                self._shows(replace(self.case, engine=engine))
                for engine in without_switches(self.case.engine)
            )
        if self.case.engine != before:
            self.tried.append(f"switches {before.label} → {self.case.engine.label} ({self.runs - runs} runs)")
        return self.case.engine != before


def _joined(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """Steps after steps are one operation."""
    found: list[Operation] = []
    for one in operations:
        last = found[-1] if found else None
        if isinstance(one, Steps) and isinstance(last, Steps):
            found[-1] = Steps(count=last.count + one.count)
        else:
            found.append(one)
    return tuple(found)


def _smaller(one: Operation) -> Iterator[Operation]:
    """Operations with less of something, the least first; waiting to abort may be nothing but waiting."""
    if isinstance(one, Submit):
        yield from (Submit(request=smaller) for smaller in _smaller_requests(one.request))
    elif isinstance(one, Steps):
        yield from (Steps(count=count) for count in _less(one.count, least=1))
    elif isinstance(one, Abort) and one.stage is not None:
        if one.within_steps:
            yield Steps(count=one.within_steps)
        yield replace(one, stage=None, within_steps=0)
        yield from (replace(one, within_steps=count) for count in _less(one.within_steps, least=0))
    elif isinstance(one, Exhaust):
        given = one.levels.given()
        for name in given if len(given) > 1 else ():
            rest = {key: value for key, value in given.items() if key != name}
            yield Exhaust(levels=PressureLevels(held=one.levels.held, **rest))
        if one.levels.held:
            yield Exhaust(levels=PressureLevels(held=False, **given))
        for name, level in given.items():
            for less in _less(level, least=0):
                yield Exhaust(levels=PressureLevels(held=one.levels.held, **{**given, name: less}))


def _smaller_requests(one: Request) -> Iterator[Request]:
    # What a session has is what its turns before have left: of a later turn only what is new can be less.
    own = len(one.prompt) - 1 if one.after is not None else 0
    for place in range(len(one.prompt) if len(one.prompt) > 1 and not own else 0):
        yield replace(one, prompt=(*one.prompt[:place], *one.prompt[place + 1 :]))
    for name in ("priority", "logprobs_from", "adapter", "grammar_steps"):
        if getattr(one, name) is not None:
            yield replace(one, **{name: None})  # type: ignore[arg-type]
    if one.ignore_eos:
        yield replace(one, ignore_eos=False)
    for outputs in _less(one.max_new_tokens, least=1):
        yield replace(one, max_new_tokens=outputs)
    for place, part in list(enumerate(one.prompt))[own:]:
        for length in _less(part.length, least=1):
            shorter = replace(part, length=length)
            yield replace(one, prompt=(*one.prompt[:place], shorter, *one.prompt[place + 1 :]))


def _less(value: int, *, least: int) -> Iterator[int]:
    """The least value, then the largest power of two below: at least half of it, and easy to read."""
    candidates = (least, 1 << max(0, (value - 1).bit_length() - 1))
    yield from dict.fromkeys(one for one in candidates if least <= one < value)


def renumbered(script: FuzzScript) -> FuzzScript:
    """Return the script with its requests named r0, r1, … in the order in which they are submitted."""
    names: dict[str, str] = {}
    operations: list[Operation] = []
    for one in script.operations:
        if isinstance(one, Submit):
            name = names.setdefault(one.request.rid, f"r{len(names)}")
            before = one.request.after and names.get(one.request.after, one.request.after)
            operations.append(Submit(request=replace(one.request, rid=name, after=before)))
        elif isinstance(one, Abort):
            operations.append(replace(one, rid=names.get(one.rid, one.rid)))
        else:
            operations.append(one)
    return FuzzScript(operations=tuple(operations))
