"""Effects in words: what moved, by how much, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exhausters.observe.smallest_effects import CPU_TIME, OUTCOME_ROLE
from reports.detect.cell_groups import MIDDLE, NO, TIGHT
from reports.detect.effect import Effect
from reports.detect.materiality import Change
from reports.vocabulary import OUTCOME

_SPECIAL = {
    CPU_TIME: "CPU time per step",
    "python_calls": "Python calls",
    "c_calls": "C calls",
    "host_synchronisations": "host synchronisations",
    "goodput_requests_per_second": "goodput",
    OUTCOME: "how runs end",
}
_UNDER = {
    (NO,): "without pressure",
    (MIDDLE,): "under middle pressure",
    (TIGHT,): "under tight pressure",
    (MIDDLE, TIGHT): "under pressure",
    (NO, MIDDLE): "except under tight pressure",
    (NO, TIGHT): "except under middle pressure",
}
# What one sentence names before the rest becomes a count.
_NAMED = 3
_NAMED_WORKLOADS = 2
_NAMED_SETTINGS = 2
_NAMED_REASONS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One outcome or cost that mattered the same way in some workloads.

    Attributes:
        metric, role, verdict: of the effects.
        change: the sizes, as text: "−9 %", "−2 % to −9 %".
        under: the pressure, e.g. "under tight pressure"; empty where it moved under all of it.
        place: what else is not all of the grid, e.g. "(agents)", "(agents without overlap)"; else empty, or
            "everywhere" where nothing else is told.
        effects: one for each of the workloads, or of its engine settings, the largest first.
    """

    metric: str
    role: str
    verdict: str
    change: str
    under: str
    place: str
    effects: tuple[Effect, ...]

    @property
    def where(self) -> str:
        """One clause, e.g. "under tight pressure (agents)"."""
        return f"{self.under} {self.place}".strip()

    @property
    def text(self) -> str:
        """What, by how much, where."""
        if self.metric == OUTCOME:
            reasons = dict.fromkeys(reason for one in self.effects for reason in one.reasons)
            more = f" and {len(reasons) - _NAMED_REASONS} more" if len(reasons) > _NAMED_REASONS else ""
            return f"{'; '.join(list(reasons)[:_NAMED_REASONS])}{more} ({self.change}{_joined(self.where)})"
        return " ".join(filter(None, (metric_words(self.metric), self.change, self.where)))


def metric_words(name: str) -> str:
    """Return the name of a metric as a reader says it."""
    if name in _SPECIAL:
        return _SPECIAL[name]
    return name.removesuffix("_seconds").replace("_", " ")


def movements(effects: Iterable[Effect], verdict: str, workloads: Sequence[str]) -> tuple[Movement, ...]:
    """Return what mattered in one direction, by metric, the most important first.

    How runs end comes before all else, then outcomes, then costs; within these the largest, measured in
    smallest effects.
    """
    by_metric: dict[str, list[Effect]] = {}
    for effect in effects:
        if effect.verdict == verdict:
            by_metric.setdefault(effect.metric, []).append(effect)
    found = [_movement(metric, group, workloads) for metric, group in by_metric.items()]
    return tuple(sorted(found, key=_importance))


def families(found: Sequence[Movement]) -> tuple[Movement, ...]:
    """Return the first movement of each family: p50 and p99 of one latency say the same to a reader."""
    first: dict[str, Movement] = {}
    for one in found:
        first.setdefault(one.metric.replace("_p50", "").replace("_p99", ""), one)
    return tuple(first.values())


def named(found: Sequence[Movement]) -> tuple[Movement, ...]:
    """Return what the answer's sentence names; the rest it counts."""
    return families(found)[:_NAMED]


def _movement(metric: str, group: Sequence[Effect], workloads: Sequence[str]) -> Movement:
    ordered = tuple(sorted(group, key=lambda one: -one.closeness))
    common = {one.pressures for one in ordered}
    pressures = common.pop() if len(common) == 1 else ()
    all_pressures = {pressure for one in ordered for pressure in one.by_pressure}
    under = "" if set(pressures) >= all_pressures and metric != OUTCOME else _UNDER.get(pressures, "")
    return Movement(
        metric=metric,
        role=ordered[0].role,
        verdict=ordered[0].verdict,
        change=_change(ordered, pressures if under else ()),
        under=under,
        place=_place(ordered, workloads) or ("" if under or len(workloads) == 1 else "everywhere"),
        effects=ordered,
    )


def _place(effects: Sequence[Effect], workloads: Sequence[str]) -> str:
    here = list(dict.fromkeys(one.workload for one in effects))
    settings = {one.settings for one in effects}
    if len(settings) > 1:
        places = [f"{workload} {_settings(workload, effects)}".strip() for workload in here]
        common = ""
    else:
        places, common = here, settings.pop()
        if set(here) >= set(workloads):
            return f"({common})" if common else ""
    if len(here) > _NAMED_WORKLOADS:
        return f"({f'in {len(here)} of {len(workloads)} workloads {common}'.strip()})"
    names = ", ".join(places)
    return f"({f'{names} {common}'.strip()})"


def _settings(workload: str, effects: Sequence[Effect]) -> str:
    own = [one.settings for one in effects if one.workload == workload and one.settings]
    return " and ".join(own) if len(own) <= _NAMED_SETTINGS else f"in {len(own)} settings"


def _change(effects: Sequence[Effect], pressures: Sequence[str]) -> str:
    if effects[0].metric == OUTCOME:
        cells = sum(len(one.worse_cells) + len(one.better_cells) for one in effects)
        return f"{cells} cell" if cells == 1 else f"{cells} cells"
    # Where it is told under which pressure, the numbers are those under that pressure.
    changes: list[Change | None] = []
    for one in effects:
        changes += [one.by_pressure[name] for name in pressures if name in one.by_pressure] or [one.change]
    known = sorted((one for one in changes if one is not None), key=lambda one: abs(one.size))
    if not known:
        return ""
    low, high = known[0].text, known[-1].text
    if low == high:
        return low
    # From one value to another in each: a range of such changes cannot be read.
    return high if "→" in high else f"{low} to {high}"


def _joined(where: str) -> str:
    return f", {where.replace('(', '').replace(')', '')}" if where else ""


def _importance(one: Movement) -> tuple[int, int, float]:
    largest = max(effect.closeness for effect in one.effects)
    return (one.metric != OUTCOME, one.role != OUTCOME_ROLE, -largest)
