"""How many calls an idle step makes: exact, and of the engine alone."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any

_OWN_FOLDER = str(Path(__file__).resolve().parent.parent)


def idle_calls(steps: int) -> Generator[None, None, list[int]]:
    """Let an idle engine step, and return the Python and C calls that its own code makes in each step."""
    counts = []
    for _ in range(steps):
        seen = 0

        def count(frame: FrameType, event: str, _: Any) -> None:
            nonlocal seen
            # Of a C call the frame is the caller's.
            if event in ("call", "c_call") and not frame.f_code.co_filename.startswith(_OWN_FOLDER):
                seen += 1

        sys.setprofile(count)
        try:
            yield
        finally:
            sys.setprofile(None)
        counts.append(seen)
    return counts
