"""Write docs/metrics.md from the registry of metrics (`make docs`)."""

from __future__ import annotations

from exhausters.observe.metrics import DECISION, HOST, METRICS, MODELLED, WORK

_INTRODUCTION = """\
# Metrics

Made from the registry in `exhausters/observe/metrics.py` by `make docs`; do not edit it here.

| kind | how two builds are compared |
|---|---|
| decision | equal or not: the same script gives the same decisions on any machine |
| work | relative change against a tolerance of 0.01 %: equal between processes on one interpreter |
| modelled_time | equal or not: time on the virtual clock, moved by a stated forward-time model |
| host_time | interleaved pairs and statistics: CPU time of the scheduler's thread is noisy |
"""
_TITLES = {
    DECISION: "Decisions",
    WORK: "Work",
    MODELLED: "Modelled time",
    HOST: "Host time",
}


def metrics_document() -> str:
    """Return the page as Markdown."""
    parts = [_INTRODUCTION]
    for kind, title in _TITLES.items():
        rows = [
            f"| `{one.name}` | {one.unit} | {one.better} | {_effect(one.smallest_effect)} | {one.meaning} |"
            for one in METRICS.values()
            if one.kind == kind
        ]
        heading = (
            f"## {title}\n\n| metric | unit | better | smallest effect | meaning |\n|---|---|---|---|---|"
        )
        parts.append("\n".join((heading, *rows)) + "\n")
    return "\n".join(parts)


def _effect(share: float) -> str:
    return f"{share:.0%}" if share else "any"


if __name__ == "__main__":
    print(metrics_document(), end="")
