"""docs/virtual_clock.md says what the clock and the forward-time models do."""

from __future__ import annotations

import re
import time

import pytest

from exhausters.engine import clock
from exhausters.observe.forward_time import ConstantForwardTime, ForwardShape, LinearForwardTime
from exhausters.observe.forward_time_models import forward_time_model
from exhausters.observe.recorder import Recorder
from exhausters.observe.roofline import RooflineForwardTime
from tests.docs.pages import ROOT

_TEXT = (ROOT / "docs" / "virtual_clock.md").read_text()
_WORDS = " ".join(_TEXT.split())


def _row(first: str) -> list[str]:
    """The cells of the row of a table whose first one begins so."""
    (line,) = (line for line in _TEXT.splitlines() if line.startswith(f"| {first}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def _numbers(text: str) -> list[int]:
    return [int(found.replace(",", "")) for found in re.findall(r"([\d,]+) ns", text)]


def test_prices_are_those_of_the_models() -> None:
    """Every price on the page is the default of its model, and the names are those that records have."""
    linear, constant, roofline = LinearForwardTime(), ConstantForwardTime(), RooflineForwardTime()
    assert _numbers(_row("`linear`")[1]) == [
        linear.base_ns,
        linear.prefill_token_ns,
        linear.decode_request_ns,
        linear.kv_token_read_ns,
    ]
    shape = ForwardShape(prefill_tokens=1, decode_requests=0, kv_tokens_read=1)
    assert _numbers(_row("`constant`")[1]) == [constant.forward_ns(shape)]
    assert _numbers(_row("`roofline[")[1]) == [roofline.launch_ns]
    for row, model in (("`linear`", linear), ("`constant`", constant), ("`roofline[", roofline)):
        assert f"(`{model.name}`)" in _row(row)[0]


@pytest.mark.parametrize(
    ("first", "shape"),
    [
        (
            "a chunk",
            ForwardShape(
                prefill_tokens=2048,
                decode_requests=0,
                kv_tokens_read=2048,
                attended_pairs=2048 * 2049 // 2,
            ),
        ),
        (
            "1 request",
            ForwardShape(prefill_tokens=0, decode_requests=1, kv_tokens_read=1500, attended_pairs=1500),
        ),
        (
            "64 requests",
            ForwardShape(
                prefill_tokens=0, decode_requests=64, kv_tokens_read=64 * 1500, attended_pairs=64 * 1500
            ),
        ),
    ],
)
def test_examples_are_what_the_models_say(first: str, shape: ForwardShape) -> None:
    """The milliseconds of each forward, by each model."""
    models = [forward_time_model(name.strip("`")) for name in _row("forward ")[1:]]
    assert _row(first)[1:] == [f"{model.forward_ns(shape) / 1e6:.2f}" for model in models]


def test_the_clock_moves_as_the_page_says() -> None:
    """The tick, the step without a forward, and where both clocks begin."""
    assert _row("the scheduler's thread reads")[1] == f"{clock.READ_TICK_NS / 1e3:g} µs (`READ_TICK_NS`)"
    assert _row("at the end of a step without")[1].startswith(f"{Recorder.idle_step_ns / 1e6:g} ms ")
    virtual = clock.VirtualClock()
    assert f"`monotonic` begins at {virtual.monotonic_ns() // 10**9:,} s" in _WORDS
    assert LinearForwardTime().base_ns == 5000 * clock.READ_TICK_NS
    assert "one five-thousandth of the shortest forward" in _WORDS
    assert virtual.elapsed_ns == 0


def test_replaced_functions_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each function of `time` that the clock replaces is on the page; nothing else is replaced."""
    names = [name for name in dir(time) if callable(getattr(time, name))]
    before = {name: getattr(time, name) for name in names}
    for name in names:
        monkeypatch.setattr(time, name, before[name])  # put back at the end
    clock.VirtualClock().install()
    replaced = {name for name in names if getattr(time, name) is not before[name]}
    monkeypatch.undo()
    told = set(
        re.findall(r"`time\.(\w+)`", _TEXT.partition("**What SGLang is told.**")[2].partition("##")[0])
    )
    assert {name.removesuffix("_ns") for name in replaced} == told
    assert {f"{name}_ns" for name in told - {"sleep"}} <= replaced
