"""`python -m exhausters.workloads SPEC`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exhausters.workloads import parse_workload, summarise
from exhausters.workloads.__main__ import main


def test_summary_of_a_builder(capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints the digest, the totals and the hit ceiling at the page size asked for."""
    assert main(["agents:turns=2", "--page-size", "64"]) == 0
    workload = parse_workload("agents:turns=2")
    summary = summarise(workload, page_size=64)
    shown = capsys.readouterr().out
    assert workload.digest in shown
    assert f"prompt tokens    {summary.prompt_tokens:,}\n" in shown
    assert f"{summary.shared_fraction:.1%} of prompt tokens, pages of 64\n" in shown


def test_summary_of_a_block_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A trace has its block hits too: here two of four blocks are hit."""
    line = {"timestamp": 0, "input_length": 1024, "output_length": 1, "hash_ids": [1, 2]}
    trace = tmp_path / "trace.jsonl"
    trace.write_text(f"{json.dumps(line)}\n{json.dumps({**line, 'timestamp': 5})}\n")
    assert main([f"mooncake:{trace}"]) == 0
    assert "50.0% of all blocks, 50.0% of full blocks" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["agent"], ["agents", "--page-size", "0"]])
def test_bad_input(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What makes no workload is one line that names it, and exit code 2."""
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")
