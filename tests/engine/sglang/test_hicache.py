"""What turns HiCache on, beside what is asked for, and what is refused before anything boots."""

from __future__ import annotations

from typing import Any

import pytest

from exhausters.engine.sglang import hicache
from exhausters.errors import UnsupportedSettingError

_KNOWN = frozenset({hicache.SWITCH, "hicache_io_backend", "hicache_mem_layout", "hicache_ratio"})
_ON = {hicache.SWITCH: True}


def test_nothing_is_set_while_it_is_off() -> None:
    """A boot without HiCache has no keyword that it would not have otherwise."""
    assert hicache.completed({}, known=_KNOWN) == {}
    assert hicache.completed({hicache.SWITCH: False, "hicache_ratio": 3.0}, known=_KNOWN) == {}


def test_what_copies_without_a_gpu_is_set() -> None:
    """The one backend with a stand-in is chosen, and the pool's size does not depend on the machine."""
    needed = {"hicache_io_backend": "direct", "hicache_mem_layout": "layer_first"}
    assert hicache.completed(_ON, known=_KNOWN) == {**needed, "hicache_ratio": 2.0}
    assert hicache.completed({**_ON, "hicache_ratio": 1.5}, known=_KNOWN) == needed
    assert hicache.completed({**_ON, "hicache_size": 1}, known=_KNOWN) == needed
    assert hicache.completed(_ON, known=frozenset({"hicache_ratio"})) == {"hicache_ratio": 2.0}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"hicache_io_backend": "kernel"},
            "hicache_io_backend=kernel: its copies are CUDA kernels",
        ),
        ({"hicache_mem_layout": "page_first"}, "hicache_mem_layout=page_first: .* expected 'layer_first'"),
        (
            {"hicache_storage_backend": "file"},
            "hicache_storage_backend=file: a storage tier works",
        ),
        ({"disable_radix_cache": True}, "enable_hierarchical_cache=true: needs the radix cache; it is off"),
    ],
)
def test_what_cannot_run_is_refused(asked: dict[str, Any], said: str) -> None:
    """What would need a GPU, threads or a cache that is off is a typed error, before the boot."""
    with pytest.raises(UnsupportedSettingError, match=said):
        hicache.completed({**_ON, **asked}, known=_KNOWN)


def test_a_boot_that_fails_in_it_is_a_refusal() -> None:
    """A boot that lacks a GPU in a file of HiCache is a refusal; one that fails otherwise is a fault."""
    text = 'Traceback (most recent call last):\n  File "/x/{}.py", line 3, in f\n    g()\n{}'
    refused = hicache.refusal_in(text.format("pool_host/mha", "AssertionError: not compiled with CUDA"))
    assert refused is not None
    assert str(refused).endswith("with this SGLang: AssertionError: not compiled with CUDA")
    assert hicache.refusal_in(text.format("radix_cache", "AssertionError: not compiled with CUDA")) is None
    assert hicache.refusal_in(text.format("pool_host/mha", "ValueError: no")) is None
