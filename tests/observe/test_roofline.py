"""The roofline model, against numbers worked out by hand from the data sheets."""

from __future__ import annotations

import pytest

from exhausters.errors import UsageError
from exhausters.observe.forward_time import ConstantForwardTime, ForwardShape, LinearForwardTime
from exhausters.observe.forward_time_models import forward_time_model
from exhausters.observe.roofline import RooflineForwardTime, load_device, load_model

_MODEL = RooflineForwardTime(launch_ns=0)


def _decode(requests: int, context: int) -> ForwardShape:
    read = requests * context
    return ForwardShape(prefill_tokens=0, decode_requests=requests, kv_tokens_read=read, attended_pairs=read)


def test_decode_of_one_request_reads_the_weights() -> None:
    """One token costs the weights once: 16.06 GB at 4.8 TB/s are 3.346 ms, and its KV next to nothing."""
    assert _MODEL.forward_ns(_decode(1, 1)) == pytest.approx(16.06e9 / 4.8e12 * 1e9, rel=1e-4)


def test_kv_cache_is_read_too() -> None:
    """8B keeps 128 KiB a token, so 100 requests of 4,096 tokens read 53.7 GB more."""
    assert load_model("llama-3.1-8b").kv_bytes_per_token == 2 * 32 * 8 * 128 * 2 == 131_072
    read = 16.06e9 + 100 * 4096 * 131_072
    assert _MODEL.forward_ns(_decode(100, 4096)) == pytest.approx(read / 4.8e12 * 1e9)


def test_prefill_is_bound_by_compute() -> None:
    """2,048 new tokens: 2 operations a parameter and token, 4 a head dimension and pair, at 989.5 TFLOPS."""
    pairs = 2048 * 2049 // 2
    shape = ForwardShape(prefill_tokens=2048, decode_requests=0, kv_tokens_read=2048, attended_pairs=pairs)
    flops = 2 * 8.03e9 * 2048 + 4 * 32 * 32 * 128 * pairs
    assert _MODEL.forward_ns(shape) == pytest.approx(flops / 989.5e12 * 1e9)
    assert flops / 989.5e12 > 16.06e9 / 4.8e12


def test_launch_time_is_added() -> None:
    """The launch comes on top, once a forward."""
    shape = _decode(1, 1)
    with_launch = RooflineForwardTime(launch_ns=200_000).forward_ns(shape)
    assert with_launch - _MODEL.forward_ns(shape) == 200_000


def test_a_slower_memory_takes_longer() -> None:
    """The device is the one that is named: H100 reads weights 4.8 / 3.35 times as long as H200."""
    slower = RooflineForwardTime(device_name="h100", launch_ns=0).forward_ns(_decode(1, 1))
    assert slower / _MODEL.forward_ns(_decode(1, 1)) == pytest.approx(4.8 / 3.35, rel=1e-6)


@pytest.mark.parametrize("name", ["llama-3.1-8b", "qwen3-0.6b"])
def test_weights_are_two_bytes_a_parameter(name: str) -> None:
    """The data are consistent: bfloat16 weights take two bytes each, and where they are from is told."""
    model = load_model(name)
    assert model.weight_bytes == 2 * model.parameters
    assert "arXiv" in model.source


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("constant", "constant/1"),
        ("linear", "linear/1"),
        ("roofline", "roofline/1:llama-3.1-8b@h200"),
        ("roofline:qwen3-0.6b", "roofline/1:qwen3-0.6b@h200"),
        ("roofline:qwen3-0.6b@h100", "roofline/1:qwen3-0.6b@h100"),
    ],
)
def test_models_by_name(text: str, name: str) -> None:
    """Each name makes the model whose own name, with version, model and device, goes into the record."""
    assert forward_time_model(text).name == name


def test_names_make_the_right_classes() -> None:
    """The two fixed names are the models with default prices."""
    assert forward_time_model("constant") == ConstantForwardTime()
    assert forward_time_model("linear") == LinearForwardTime()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("quadratic", "expected constant, linear or roofline"),
        ("linear:8", "expected constant, linear or roofline"),
        ("roofline:gpt-2", "model 'gpt-2': expected one of llama-3.1-8b, qwen3-0.6b"),
        ("roofline:qwen3-0.6b@tpu", "device 'tpu': expected one of h100, h200"),
        ("", "expected constant, linear or roofline"),
    ],
)
def test_unknown_names_are_refused(text: str, told: str) -> None:
    """An unknown model or device is refused at once, with what there is."""
    with pytest.raises(UsageError, match=told):
        forward_time_model(text)


def test_loaders_refuse_unknown_names() -> None:
    """The tables themselves refuse what they do not have."""
    with pytest.raises(UsageError, match="device 'abacus'"):
        load_device("abacus")
    with pytest.raises(UsageError, match="model 'abacus'"):
        load_model("abacus")
