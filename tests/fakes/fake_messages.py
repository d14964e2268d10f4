"""Stand-ins for `exhausters.engine.sglang.request_messages`: what `fake_scheduler` receives, without sglang.

Has the functions of that module under the same names, so it can be handed to the context in its place.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FakeGenerate:
    """A tokenized request."""

    rid: str
    input_ids: array[int]
    max_new_tokens: int


@dataclass(frozen=True)
class FakePause:
    """Pause the engine; `retract` or `in_place`."""

    mode: str


@dataclass(frozen=True)
class FakeContinue:
    """Resume a paused engine."""


@dataclass(frozen=True)
class FakeAbort:
    """Abort one request (all whose id starts with `rid`), or all."""

    rid: str
    abort_all: bool


@dataclass(frozen=True)
class FakeFlush:
    """Empty the tree cache and the pools."""


def generate_request(
    *, rid: str, input_ids: Sequence[int], sampling: dict[str, Any], **_ignored: Any
) -> FakeGenerate:
    return FakeGenerate(rid, array("q", input_ids), sampling["max_new_tokens"])


def pause_generation(mode: str) -> FakePause:
    return FakePause(mode)


def continue_generation(torch_empty_cache: bool) -> FakeContinue:
    return FakeContinue()


def abort(*, rid: str = "", abort_all: bool = False) -> FakeAbort:
    return FakeAbort(rid, abort_all)


def flush_cache() -> FakeFlush:
    return FakeFlush()
