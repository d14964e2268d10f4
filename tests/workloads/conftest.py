"""Where the public traces are, and small files made by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

_SOURCES = (
    "set EXHAUSTERS_TRACES to a folder with mooncake_conversation.jsonl and mooncake_synthetic.jsonl "
    "(conversation_trace.jsonl, synthetic_trace.jsonl of github.com/kvcache-ai/Mooncake, "
    "FAST25-release/traces) and azure_llm_2023_code.csv, azure_llm_2023_conv.csv "
    "(AzureLLMInferenceTrace_*.csv of github.com/Azure/AzurePublicDataset, data)"
)


@pytest.fixture
def public_trace() -> Callable[[str], Path]:
    """A public trace by file name; skips the test where the traces are not at hand."""
    beside_checkout = Path(__file__).resolve().parents[2] / "../shared/data"
    folder = Path(os.environ.get("EXHAUSTERS_TRACES") or beside_checkout)

    def find(name: str) -> Path:
        path = folder / name
        if not path.is_file():
            pytest.skip(f"{name} is not at hand: {_SOURCES}")
        return path

    return find


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write lines to a file, each ended by a line feed, and give its path."""

    def write_lines(name: str, *lines: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(b"".join((x if isinstance(x, bytes) else x.encode()) + b"\n" for x in lines))
        return path

    return write_lines
