"""Plays scripts like the harness, in a worker that ends when a request of 13 tokens is submitted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from exhausters.fuzz.operations import FuzzScript
from exhausters.fuzz.play import play_all as original

DEADLY_TOKENS = 13


def play_all(t: Any, scripts: Sequence[FuzzScript], chunk_tokens: int) -> Any:
    submit = t.engine.submit

    def deadly(submission: Any) -> None:
        if len(submission.input_ids) == DEADLY_TOKENS:
            os._exit(3)
        submit(submission)

    t.engine.submit = deadly
    return (yield from original(t, scripts, chunk_tokens))
