"""`python -m exhausters.workloads SPEC`: a workload in numbers, and the ceiling of its cache hits."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from exhausters.errors import WorkloadError
from exhausters.workloads.summary import WorkloadSummary, summarise
from exhausters.workloads.workload import Workload
from exhausters.workloads.workload_spec import parse_workload

_BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the summary of the workload that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m exhausters.workloads", description=__doc__)
    parser.add_argument("spec", help="such as agents:turns=4 or mooncake:FILE,scale=1/32")
    parser.add_argument("--page-size", type=int, default=16, help="tokens per page [%(default)s]")
    options = parser.parse_args(arguments)
    try:
        workload = parse_workload(options.spec)
        summary = summarise(workload, page_size=options.page_size)
    except WorkloadError as error:
        print(f"error: {error}", file=sys.stderr)
        return _BAD_INPUT
    for name, value in _rows(workload, summary):
        print(f"{name:<16} {value}")
    return 0


def _rows(workload: Workload, summary: WorkloadSummary) -> Iterator[tuple[str, str]]:
    yield "workload", workload.name
    yield "digest", workload.digest
    yield "requests", f"{summary.request_count:,}, after {summary.warmup_request_count:,} to warm up"
    yield "prompt tokens", f"{summary.prompt_tokens:,}"
    yield "output tokens", f"{summary.output_tokens:,}"
    yield "longest request", f"{summary.longest_request_tokens:,} tokens"
    yield "hit ceiling", f"{summary.shared_fraction:.1%} of prompt tokens, pages of {summary.page_size}"
    if "format" not in workload.source:  # the segments of builders are no blocks
        return
    blocks = summary.block_hits
    yield "hit blocks", f"{blocks.fraction:.1%} of all blocks, {blocks.full_fraction:.1%} of full blocks"


if __name__ == "__main__":
    sys.exit(main())
