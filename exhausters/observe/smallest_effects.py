"""What each judged metric is to a reader, and the smallest difference of it that matters, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

# Roles. An outcome is what a user of the server feels, a cost is what the host pays; both can be better or
# worse. A mechanism explains them, and is neither good nor bad alone.
OUTCOME_ROLE, COST, MECHANISM = "outcome", "cost", "mechanism"
ROLES = (OUTCOME_ROLE, COST, MECHANISM)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallestEffect:
    """The smallest difference of one metric that matters; a smaller one is shown as immaterial.

    Attributes:
        cell: for one cell: a share of base, or with `is_absolute` a difference in the metric's unit.
        workload: the same for the one number of a workload over all its cells.
        is_absolute: the value can be 0, or is a share itself: differences instead of ratios.
        at_least: difference in the metric's unit that a relative effect must reach as well.
        reason: why these numbers.
    """

    cell: float
    workload: float
    is_absolute: bool = False
    at_least: float = 0.0
    reason: str

    @property
    def can_be_zero(self) -> bool:
        """Whether base can be 0, so that no ratio exists."""
        return self.is_absolute or self.at_least > 0


_LATENCY = SmallestEffect(
    cell=0.05,
    workload=0.02,
    reason="A user does not notice less. One batch more moves a single cell by a few percent; over the "
    "levels of a workload that averages out.",
)
_RATE = SmallestEffect(
    cell=0.02, workload=0.01, reason="Capacity is planned by it: 1 % is one server in a hundred."
)
_CALLS = SmallestEffect(
    cell=0.05,
    workload=0.03,
    reason="Pure refactors move it by up to about 2 %, and the same number of calls can take very different "
    "time. It counts only if the value per step moved the same way: one step more changes every total.",
)
_LOST = SmallestEffect(
    cell=0.0, workload=0.0, is_absolute=True, reason="Each one is a request that its user lost."
)
_LATENCIES = ("time_to_first_token", "time_per_output_token", "end_to_end")

OUTCOMES: Mapping[str, SmallestEffect] = MappingProxyType(
    {
        **{f"{name}_{rank}_seconds": _LATENCY for name in _LATENCIES for rank in ("p50", "p99")},
        "output_tokens_per_second": _RATE,
        "goodput_share": SmallestEffect(
            cell=0.02, workload=0.01, is_absolute=True, reason="One request in a hundred misses its limits."
        ),
        "goodput_requests_per_second": _RATE,
        "retractions": SmallestEffect(
            cell=0.10,
            workload=0.10,
            at_least=1.0,
            reason="Each makes one user wait and is work done twice; less than a tenth moves no latency.",
        ),
        "recompute_tax": SmallestEffect(
            cell=0.02,
            workload=0.01,
            is_absolute=True,
            reason="A hundredth of the prefill work is done twice.",
        ),
        "memory_aborts": _LOST,
        "unfinished_requests": _LOST,
        "failed_transfers": _LOST,
        "shortened_requests": replace(_LOST, reason="Each one is an answer that its user gets cut off."),
    }
)
# Each is a request whose user got less than was asked for. Where they become more, others have it easier.
LOST_REQUESTS = ("memory_aborts", "unfinished_requests", "failed_transfers", "shortened_requests")
COUNTS = ("python_calls", "c_calls", "aten_operators", "host_synchronisations", "tensor_allocations")
# On a GPU a stall of the whole device, in CPU time next to nothing: time does not overrule it.
NOT_IN_CPU_TIME = ("host_synchronisations",)
# The one metric of host time that is judged; where it was measured it overrules the other counts.
CPU_TIME = "scheduler_cpu_ms_per_step"
COSTS: Mapping[str, SmallestEffect] = MappingProxyType(
    {
        **dict.fromkeys(COUNTS, _CALLS),
        CPU_TIME: SmallestEffect(
            cell=0.05,
            workload=0.05,
            reason="What pairs can tell from the noise of a shared machine within minutes.",
        ),
    }
)


def role_of(name: str) -> str:
    """Return the role of a metric by its name; what is neither an outcome nor a cost is a mechanism."""
    return OUTCOME_ROLE if name in OUTCOMES else COST if name in COSTS else MECHANISM


def smallest_effect_of(name: str) -> SmallestEffect | None:
    """Return the smallest effect of a metric that is judged; None for a mechanism."""
    return OUTCOMES.get(name) or COSTS.get(name)
