"""Other work on all cores, for as long as a block runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# Allocates and sorts, so that it takes caches and memory bandwidth too, not only the core.
# Ends with the process that started it, however that ends.
_BURN = """import os, random
parent = os.getppid()
while os.getppid() == parent: sorted(random.random() for _ in range(20000))"""


@contextmanager
def cores_busy(*, is_wanted: bool = True) -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """Run one busy process for each core until the block ends; none where that is not wanted."""
    count = len(os.sched_getaffinity(0)) if is_wanted else 0
    burners = [subprocess.Popen([sys.executable, "-c", _BURN]) for _ in range(count)]
    try:
        yield burners
    finally:
        for one in burners:
            one.kill()
        for one in burners:
            one.wait()
