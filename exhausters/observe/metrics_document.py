"""Write docs/metrics.md from the registry of metrics (`make metrics`)."""

from __future__ import annotations

from exhausters.observe.metrics import DECISION, HOST, METRICS, MODELLED, WORK
from exhausters.observe.smallest_effects import SmallestEffect

_INTRODUCTION = """\
# Metrics

Made from the registry in `exhausters/observe/metrics.py` by `make metrics`; do not edit it here.

| kind | how two builds are compared |
|---|---|
| decision | equal or not: the same script gives the same decisions on any machine |
| work | relative change against a tolerance of 0.01 %: equal between processes on one interpreter |
| modelled_time | equal or not: time on the virtual clock, moved by a stated forward-time model |
| host_time | interleaved pairs and statistics: CPU time of the scheduler's thread is noisy |

Only outcomes (what a user of the server feels) and costs (what the host pays) are judged; everything else
is a mechanism, which explains them and is neither good nor bad alone. What matters is decided by the numbers
below, for one cell and for a workload over its cells ([verdicts](verdicts.md)); `gate.toml` can replace them.
"""
_TITLES = {
    DECISION: "Decisions",
    WORK: "Work",
    MODELLED: "Modelled time",
    HOST: "Host time",
}


def metrics_document() -> str:
    """Return the page as Markdown."""
    parts = [_INTRODUCTION, _smallest_effects()]
    for kind, title in _TITLES.items():
        rows = [
            f"| `{one.name}` | {one.unit} | {one.role} | {one.better} | {one.meaning} |"
            for one in METRICS.values()
            if one.kind == kind
        ]
        table = ("| metric | unit | role | better | meaning |", "|---|---|---|---|---|", *rows)
        parts.append(f"## {title}\n\n" + "\n".join(table) + "\n")
    return "\n".join(parts)


def _smallest_effects() -> str:
    rows = [
        f"| {one.name} | {one.role} | {_effect(effect, effect.cell)} | {_effect(effect, effect.workload)} "
        f"| {effect.reason} |"
        for one in METRICS.values()
        if (effect := one.materiality) is not None
    ]
    return (
        "## Smallest effects\n\n| metric | role | one cell | a workload | why |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def _effect(effect: SmallestEffect, size: float) -> str:
    if effect.is_absolute:
        return f"{size:g}" if size else "any"
    return f"{size:.0%}, at least {effect.at_least:g}" if effect.at_least else f"{size:.0%}"


if __name__ == "__main__":
    print(metrics_document(), end="")
