from __future__ import annotations

import subprocess
import sys
import threading
from itertools import pairwise

import pytest

from exhausters.engine.clock import READ_TICK_NS, RealClock, VirtualClock, make_clock


def test_reads_are_strictly_increasing() -> None:
    """No two reads by the scheduler's thread are equal: eviction order may not hang on object identities."""
    clock = VirtualClock()
    reads = [clock.monotonic_ns() for _ in range(1_000)]
    assert all(later - earlier == READ_TICK_NS for earlier, later in pairwise(reads))


def test_advance_adds_modelled_time() -> None:
    """Modelled time is the sum of what it was advanced by, whatever was read in between."""
    clock = VirtualClock()
    before = clock.monotonic_ns()
    clock.advance(0.25)
    clock.advance(1e-9)
    assert clock.monotonic_ns() - before == 250_000_001 + READ_TICK_NS
    assert clock.elapsed_ns == 250_000_001


def test_time_cannot_run_backwards() -> None:
    """A negative step is refused."""
    with pytest.raises(ValueError, match=r"seconds=-0\.1"):
        VirtualClock().advance(-0.1)


def test_other_threads_do_not_move_time() -> None:
    """Reads of watchdogs, which come at moments of the real world, change no later read."""
    clock = VirtualClock()
    before = clock.monotonic_ns()
    watchdog = threading.Thread(target=lambda: [clock.monotonic_ns() for _ in range(100)])
    watchdog.start()
    watchdog.join()
    assert clock.monotonic_ns() - before == READ_TICK_NS


_INSTALLED = """
import threading
import time
from exhausters.engine.clock import VirtualClock, real_monotonic_ns

clock = VirtualClock()
clock.install()
names = ("monotonic_ns", "perf_counter_ns", "time_ns")
reads = [getattr(time, name)() for name in names * 3]
for position in range(3):
    own = reads[position::3]
    assert own == sorted(set(own)), own
assert abs(time.monotonic() * 1e9 - time.monotonic_ns()) < 1e5
started_ns = real_monotonic_ns()
time.sleep(3600)
assert real_monotonic_ns() - started_ns < 60e9
assert clock.elapsed_ns == 3600 * 10**9
thread = threading.Thread(target=lambda: time.sleep(0.01))
thread.start()
thread.join()
assert clock.elapsed_ns == 3600 * 10**9
print("installed")
"""


def test_installed_clock() -> None:
    """Once installed it answers for every clock of `time`, and the scheduler sleeps in modelled time."""
    done = subprocess.run(
        [sys.executable, "-c", _INSTALLED], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("installed\n", 0), done.stderr


def test_make_clock() -> None:
    """There are two clocks, and a third is refused by name."""
    assert isinstance(make_clock("virtual"), VirtualClock)
    assert isinstance(make_clock("real"), RealClock)
    with pytest.raises(ValueError, match="clock='atomic'"):
        make_clock("atomic")
