"""Which suite tracks which metric: every metric of the registry, new ones included, in exactly one."""

from __future__ import annotations

from exhausters.observe.metrics import DECISION, HOST, METRICS, MODELLED, WORK, Metric

__all__ = ["metrics_of", "subject_of"]

_BY_KIND = {WORK: "work", MODELLED: "modelled_time", HOST: "host_time"}
# Decisions are assigned by a part of their name; the first match counts.
_BY_NAME = (
    ("evict", "eviction"),
    ("cache_hit", "eviction"),
    ("backed_up", "eviction"),
    ("loaded_back", "eviction"),
    ("host_cached", "eviction"),
    ("window_", "eviction"),
    ("mamba_", "eviction"),
    ("session_", "eviction"),
    ("retract", "retraction"),
    ("preempt", "retraction"),
    ("recompute", "retraction"),
    ("memory_aborts", "retraction"),
    ("chunk", "chunked_prefill"),
    ("parked", "chunked_prefill"),
)
_OTHER = "batch_formation"


def subject_of(metric: Metric) -> str:
    """Return the name of the suite that tracks `metric`."""
    if metric.kind != DECISION:
        return _BY_KIND[metric.kind]
    return next((subject for part, subject in _BY_NAME if part in metric.name), _OTHER)


def metrics_of(subject: str) -> tuple[Metric, ...]:
    """Return the metrics that the suite `subject` tracks, in the registry's order."""
    return tuple(metric for metric in METRICS.values() if subject_of(metric) == subject)
