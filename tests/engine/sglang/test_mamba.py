"""What a boot with linear attention adds to the settings, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from exhausters.engine.api import BootFacts
from exhausters.engine.settings import HostSettings
from exhausters.engine.sglang.mamba import completed, require_accepted, require_as_asked
from exhausters.errors import UnsupportedSettingError

_MODEL = "hybrid_mamba"
_KNOWN = ("max_mamba_cache_size", "max_running_requests")
_FACTS = BootFacts(
    pid=1,
    sglang_version="0",
    python_version="0",
    torch_version="0",
    tree_cache="tree",
    tree_core="none",
    allocator="plain",
    page_size=1,
    max_total_tokens=64,
    max_running_requests=8,
    overlap=False,
    policy="fcfs",
)


def test_slots_are_as_many_as_rows_may_need() -> None:
    """Without a number there are five slots for each row; a number that is given stays; others have none."""
    rows = {"max_running_requests": 8}
    assert completed(_MODEL, rows, known=_KNOWN) == {"max_mamba_cache_size": 40}
    assert completed(_MODEL, {**rows, "max_mamba_cache_size": 7}, known=_KNOWN) == {}
    assert completed("dense", rows, known=_KNOWN) == {}


@pytest.mark.parametrize(
    ("more", "known", "said"),
    [
        ({}, ("max_running_requests",), "has no max_mamba_cache_size"),
        (
            {"enable_hierarchical_cache": True},
            _KNOWN,
            "enable_hierarchical_cache=true: .* host pool of states",
        ),
    ],
)
def test_what_cannot_run_is_refused(more: dict[str, Any], known: tuple[str, ...], said: str) -> None:
    """An SGLang that would size the pool by free memory, and HiCache, are refused before the boot."""
    with pytest.raises(UnsupportedSettingError, match=said):
        completed(_MODEL, {"max_running_requests": 8, **more}, known=known)


def test_only_what_is_said_of_states_is_a_refusal() -> None:
    """An assertion about states refuses the settings; another error is left to the boot, which tells it."""

    def raising(text: str) -> Any:
        def make(**_arguments: Any) -> None:
            raise AssertionError(text)

        return make

    with pytest.raises(UnsupportedSettingError, match="AssertionError: extra_buffer needs CUDA"):
        require_accepted(raising("extra_buffer needs CUDA"), {}, _MODEL)
    require_accepted(raising("a port is taken"), {}, _MODEL)


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ({"page_size": 16}, "page_size = 1, and 16 was asked for"),
        ({"disable_overlap_schedule": False}, "overlap = False, and True was asked for"),
    ],
)
def test_another_loop_or_page_than_was_asked_for_is_refused(engine: dict[str, Any], said: str) -> None:
    """Older releases settle for another loop and pages of one token without saying so: refused by name."""
    with pytest.raises(UnsupportedSettingError, match=said):
        require_as_asked(HostSettings(model=_MODEL, engine=engine), _FACTS)


def test_what_runs_as_asked_passes() -> None:
    """What came up as it was asked for, or was not asked for at all, is no refusal."""
    require_as_asked(HostSettings(model=_MODEL), _FACTS)
    require_as_asked(HostSettings(model=_MODEL, engine={"page_size": 16}), replace(_FACTS, page_size=16))
