"""Workloads: frozen, seeded lists of requests with arrival times.

A workload comes from a synthetic builder or a trace reader, by name (`build`), by text
(`parse_workload`) or by calling the function itself.
"""

from __future__ import annotations

from exhausters.workloads.azure import read_azure
from exhausters.workloads.emitted import DEFAULT_TEXT, CanaryText, EmittedText, FixedToken
from exhausters.workloads.hits import BlockHits, TokenHits, block_hits, token_hits
from exhausters.workloads.mooncake import read_mooncake
from exhausters.workloads.request import Request, Segment, Session
from exhausters.workloads.request_log import read_sglang_log
from exhausters.workloads.summary import WorkloadSummary, summarise
from exhausters.workloads.synthetic import (
    BUILDERS,
    Builder,
    agents,
    bursts,
    long_context,
    many_leaves,
    retraction_storm,
    shared_prefix,
)
from exhausters.workloads.traces import TRACES_VARIABLE, resolve_trace_path
from exhausters.workloads.transfer import Transfer
from exhausters.workloads.workload import Workload
from exhausters.workloads.workload_spec import READERS, WorkloadSpec, build, parse_spec, parse_workload

__all__ = [
    "BUILDERS",
    "DEFAULT_TEXT",
    "READERS",
    "TRACES_VARIABLE",
    "BlockHits",
    "Builder",
    "CanaryText",
    "EmittedText",
    "FixedToken",
    "Request",
    "Segment",
    "Session",
    "TokenHits",
    "Transfer",
    "Workload",
    "WorkloadSpec",
    "WorkloadSummary",
    "agents",
    "block_hits",
    "build",
    "bursts",
    "long_context",
    "many_leaves",
    "parse_spec",
    "parse_workload",
    "read_azure",
    "read_mooncake",
    "read_sglang_log",
    "resolve_trace_path",
    "retraction_storm",
    "shared_prefix",
    "summarise",
    "token_hits",
]
