"""Free switches: an SGLang says itself what it lacks and what it refuses. On a small `ServerArgs`."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import pytest

from exhausters.engine.sglang.switches import refusal_in, require_switches
from exhausters.errors import UnsupportedSettingError


@dataclasses.dataclass
class ServerArgs:
    """As SGLang's: checked by its own command line, by itself, and by a check at launch."""

    model_path: str
    max_prefill_tokens: int = 16384
    retraction_policy: str = "length"
    enable_priority_scheduling: bool = False
    enable_prefill_delayer: bool = False
    ratios: list[float] | None = None
    hidden: Any = None

    def __post_init__(self) -> None:
        os.environ["SETTLED"] = "1"
        if self.max_prefill_tokens == 13:
            raise ValueError("13 prefill tokens are\nunlucky")

    def check_server_args(self) -> None:
        assert self.retraction_policy != "priority" or self.enable_priority_scheduling, "needs priorities"
        if self.hidden == "bug":
            raise RuntimeError("a bug")

    @staticmethod
    def add_cli_args(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--model-path", required=True)
        parser.add_argument("--max-prefill-tokens", type=int)
        parser.add_argument("--retraction-policy", choices=["length", "priority"])
        parser.add_argument("--enable-prefill-delayer", action="store_true")
        parser.add_argument("--ratios", type=float, nargs="*")


_OTHERS = {"model_path": "null"}


def _require(switches: Mapping[str, Any], **others: Any) -> dict[str, Any]:
    known = {field.name for field in dataclasses.fields(ServerArgs)}
    return require_switches(ServerArgs, switches, known=known, others={**_OTHERS, **others})


@pytest.mark.parametrize(
    ("switches", "taken"),
    [
        ({}, {}),
        ({"max_prefill_tokens": 512}, {"max_prefill_tokens": 512}),
        ({"max_prefill_tokens": -1}, {"max_prefill_tokens": -1}),
        ({"max_prefill_tokens": "512"}, {"max_prefill_tokens": 512}),
        ({"ratios": (1, 0.5)}, {"ratios": [1.0, 0.5]}),
        ({"enable_prefill_delayer": False}, {"enable_prefill_delayer": False}),
        ({"hidden": "anything"}, {"hidden": "anything"}),
    ],
)
def test_values_are_what_its_command_line_makes_of_them(
    switches: dict[str, Any], taken: dict[str, Any]
) -> None:
    """A switch is taken with the type its own option has; one without an option is taken as it is."""
    assert _require(switches) == taken


@pytest.mark.parametrize(
    ("switches", "said"),
    [
        ({"no_such": 1}, "server_args.no_such=1: this SGLang has no such switch"),
        ({"max_prefill_tokens": "many"}, "max_prefill_tokens=many: .*invalid int value: 'many'"),
        ({"max_prefill_tokens": True}, "max_prefill_tokens=true: .*expected one argument"),
        ({"retraction_policy": "best"}, "retraction_policy=best: .*invalid choice: 'best'"),
        ({"enable_prefill_delayer": 5}, "enable_prefill_delayer=5: .*ignored explicit argument '5'"),
        ({"max_prefill_tokens": 13}, "max_prefill_tokens=13: this SGLang refuses it: 13 prefill tokens are$"),
        ({"retraction_policy": "priority"}, "retraction_policy=priority: .*needs priorities"),
    ],
)
def test_what_it_lacks_or_refuses_is_unsupported(switches: dict[str, Any], said: str) -> None:
    """The reason is SGLang's own, of its command line, of `ServerArgs`, or of its check at launch."""
    with pytest.raises(UnsupportedSettingError, match=said):
        _require(switches)


def test_a_failure_is_no_refusal() -> None:
    """What fails without the switches as well, or fails in another way, is not laid at their door."""
    assert _require({"ratios": (1,)}, retraction_policy="priority") == {"ratios": [1.0]}
    with pytest.raises(RuntimeError, match="a bug"):
        _require({"hidden": "bug"})


def test_checking_leaves_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settling an object of its own for the check does not set variables for the real boot."""
    monkeypatch.delenv("SETTLED", raising=False)
    _require({"max_prefill_tokens": 1})
    assert "SETTLED" not in os.environ


_TRACEBACK = """Scheduler hit an exception: Traceback (most recent call last):
  File "scheduler.py", line 1, in run_scheduler_process
    scheduler = Scheduler(server_args.max_prefill_tokens)
  File "schedule_policy.py", line 2, in _validate_and_adjust_policy
    raise {error}
          ^^^^^^
{error}: {message}
"""


@pytest.mark.parametrize(
    ("error", "message", "refused"),
    [
        ("ValueError", "Unknown schedule_policy: policy='best'", True),
        ("AssertionError", "--schedule-policy must be fcfs", True),
        ("RuntimeError", "Unknown schedule_policy: policy='best'", False),
        ("ValueError", "no room", False),
    ],
)
def test_only_an_error_that_names_the_setting_is_a_refusal(error: str, message: str, refused: bool) -> None:
    """A boot that failed otherwise stays a failure, whatever was asked for; earlier frames say nothing."""
    text = _TRACEBACK.format(error=error, message=message)
    settings = {"schedule_policy": "policy=best", "max_prefill_tokens": "server_args.max_prefill_tokens=1"}
    found = refusal_in(text, settings)
    assert (found is not None) is refused
    if found is not None:
        assert str(found) == f"policy=best: this SGLang refuses it: {error}: {message}"
    assert refusal_in("killed", settings) is None
