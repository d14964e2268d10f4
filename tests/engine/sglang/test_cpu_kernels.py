from __future__ import annotations

import pytest

from tests.conftest import Hosts
from tests.engine.sglang import scripts_cpu_kernels as scripts
from tests.scripted.engines import PYTHON_CORE


@pytest.mark.real
def test_torch_kernels_agree_with_slow_ones(hosts: Hosts) -> None:
    """The stand-ins for SGLang's Triton kernels give every token the slot that the kernels would."""
    assert hosts.get(PYTHON_CORE).run(scripts.compare, 7, 400) > 10_000


def test_slow_kernel() -> None:
    """The slow kernel itself, on a case worked out by hand: two pages of four, one of them begun."""
    assert scripts.slow_extend([3], [9], [14], [6, 2], 4) == [15, 24, 25, 26, 27, 8]
