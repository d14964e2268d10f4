from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from exhausters.engine.settings import HostSettings
from exhausters.errors import (
    AllocationShortError,
    BootError,
    ExhaustersError,
    LevelError,
    SchedulerFailedError,
    ScriptFailedError,
    UsageError,
    WorkerCrashedError,
    WorkerHungError,
    WorkerOutOfMemoryError,
)
from exhausters.worker.host import Host
from tests.conftest import Hosts, newest_release
from tests.scripted import scripts_leaks
from tests.scripted.engines import MAIN
from tests.worker import scripts_failures as scripts
from tests.worker.footprint import Footprint, wait_until

pytestmark = pytest.mark.real

_SMALL = HostSettings(engine={"max_total_tokens": 1024, "max_running_requests": 8, "page_size": 16})


@pytest.fixture(autouse=True)
def sigquits() -> Iterator[list[int]]:
    """What the caller of a host receives when SGLang signals its parent."""
    received: list[int] = []
    before = signal.signal(signal.SIGQUIT, lambda number, _frame: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGQUIT, before)
        assert received == []


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of its own, in which nothing may be left. Its path is short: sockets go there."""
    path = tmp_path_factory.mktemp("h")
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


@contextmanager
def doomed_host(folder: Path) -> Iterator[Host]:
    """A host that is expected to die in the block, and to leave nothing at all behind."""
    with Host(newest_release(), _SMALL) as host:
        footprint = Footprint.of(host, folder)
        assert len(footprint.pids) >= 2  # the supervisor and the worker
        assert any(folder.iterdir())
        yield host
        assert footprint.left_behind() == []
    assert footprint.left_behind() == []


class TestTheScriptFails:
    """The host stays usable; nothing of the failed script is left in the engine."""

    @pytest.mark.parametrize(
        ("script", "said", "where"),
        [
            (scripts.raise_assertion, "AssertionError: the planted assertion", "raise_assertion"),
            (scripts.raise_key_error, "KeyError: 'the planted key'", "raise_key_error"),
        ],
    )
    def test_any_exception(self, hosts: Hosts, script: Callable[..., object], said: str, where: str) -> None:
        """An exception of a script reaches the caller with the worker's traceback."""
        host = hosts.get(MAIN)
        with pytest.raises(ScriptFailedError) as caught:
            host.run(script)
        assert isinstance(caught.value, AssertionError)
        assert said in str(caught.value)
        assert f"in {where}" in str(caught.value)
        assert scripts.__file__ in str(caught.value)
        assert host.run(scripts.succeed, 17) == 17

    def test_own_error(self, hosts: Hosts) -> None:
        """An error of this project's own travels as itself, with the worker's traceback as its cause."""
        with pytest.raises(LevelError, match="leave_pages=-3: must be") as caught:
            hosts.get(MAIN).run(scripts.raise_level_error)
        assert isinstance(caught.value.__cause__, ScriptFailedError)
        assert "in raise_level_error" in str(caught.value.__cause__)

    def test_own_error_with_fields(self, hosts: Hosts) -> None:
        """What an error carries beside its message survives the way to the caller."""
        with pytest.raises(AllocationShortError, match="planted") as caught:
            hosts.get(MAIN).run(scripts.raise_own_error_with_fields)
        numbers = caught.value.wanted_tokens, caught.value.given_tokens, caught.value.available_tokens
        assert numbers == (3, 2, 1)

    def test_while_holding_everything(self, hosts: Hosts) -> None:
        """A script that fails with all pools taken gives all of them back."""
        host = hosts.get(MAIN)
        with pytest.raises(LevelError, match="planted"):
            host.run(scripts.raise_while_holding)
        host.run(scripts_leaks.expect_clean)

    def test_unpicklable_result(self, hosts: Hosts) -> None:
        """A result that cannot travel is the script's error, and says so."""
        host = hosts.get(MAIN)
        with pytest.raises(UsageError, match="cannot be pickled"):
            host.run(scripts.return_what_cannot_travel)
        assert host.run(scripts.succeed) == "done"

    def test_result_of_a_foreign_type(self, hosts: Hosts) -> None:
        """A result of a type that only the worker knows is refused, and the next answer is the right one."""
        host = hosts.get(MAIN)
        with pytest.raises(UsageError, match="return plain values"):
            host.run(scripts.return_engine_object)
        assert host.run(scripts.succeed, 3) == 3

    def test_missing_function(self, hosts: Hosts) -> None:
        """A lambda is refused before anything is sent."""
        with pytest.raises(UsageError, match="top level of a module"):
            hosts.get(MAIN).run(lambda t: None)


class TestTheWorkerDies:
    """Each death has its own error, and leaves no process, socket or file."""

    @pytest.mark.parametrize("script", [scripts.sleep_for_real, scripts.step_without_end])
    def test_hang(self, folder: Path, script: Callable[..., object]) -> None:
        """A script that does not end is killed at the limit, and the error shows where it was."""
        with doomed_host(folder) as host:
            with pytest.raises(WorkerHungError, match=r"no answer to script .* within 1\.5 s") as caught:
                host.run(script, timeout_seconds=1.5)
            # faulthandler's stacks, newest call first.
            assert "most recent call first" in caught.value.log_tail
            assert "scheduler.py" in caught.value.log_tail or script.__name__ in caught.value.log_tail

    def test_worker_killed(self, folder: Path) -> None:
        """SIGKILL of the worker in the middle of a script is told as that, and the host stays dead."""
        with doomed_host(folder) as host:
            with pytest.raises(WorkerCrashedError, match="killed by SIGKILL"):
                host.run(scripts.kill_worker)
            assert not host.is_usable
            with pytest.raises(WorkerCrashedError, match="this host is gone"):
                host.run(scripts.succeed)

    def test_worker_ends_itself(self, folder: Path) -> None:
        """A worker that ends without an answer is told with its exit code."""
        with doomed_host(folder) as host, pytest.raises(WorkerCrashedError, match="exit code 7"):
            host.run(scripts.end_worker)

    def test_supervisor_killed(self, folder: Path) -> None:
        """SIGKILL of the supervisor takes the worker with it."""
        with Host(newest_release(), _SMALL) as host:
            footprint = Footprint.of(host, folder)
            with pytest.raises(WorkerCrashedError, match="with its supervisor"):
                host.run(scripts.kill_supervisor)
        # Only the kernel and the init process are left to see the worker out.
        assert wait_until(lambda: footprint.left_behind() == [])

    def test_scheduler_raises(self, folder: Path) -> None:
        """SGLang's own failure comes with its message; the SIGQUIT it sends ends at the supervisor."""
        with doomed_host(folder) as host:
            with pytest.raises(SchedulerFailedError, match="RuntimeError: planted trouble") as caught:
                host.run(scripts.break_scheduler, "planted trouble")
            assert "get_next_batch_to_run" in str(caught.value)

    def test_pools_out_of_memory(self, folder: Path) -> None:
        """A pool of SGLang's that ran dry is told apart from other failures of the scheduler."""
        # The words of SGLang's allocation functions.
        said = "Prefill out of memory. Try to lower your batch size."
        with (
            doomed_host(folder) as host,
            pytest.raises(WorkerOutOfMemoryError, match="Prefill out of memory"),
        ):
            host.run(scripts.break_scheduler, said)

    def test_caller_killed(self, folder: Path) -> None:
        """When the caller is killed by force, the supervisor and the worker go, and so do their files."""
        program = (
            "import sys, time; from tests.conftest import newest_release; "
            "from exhausters.worker.host import Host; "
            "host = Host(newest_release()); print(host.pid, host.worker_pid, flush=True); time.sleep(600)"
        )
        caller = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "TMPDIR": str(folder)},
        )
        with caller:
            assert caller.stdout is not None
            pids = [int(word) for word in caller.stdout.readline().split()]
            assert len(pids) == 2
            caller.kill()
        assert wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids))
        assert wait_until(lambda: list(folder.iterdir()) == [])


class TestTheBootFails:
    @pytest.mark.parametrize(
        ("settings", "kind", "said"),
        [
            pytest.param(
                HostSettings(engine={"ep_size": 2}), UsageError, "ep_size=2: expected 1", id="ep_size"
            ),
            pytest.param(
                HostSettings(memory_limit_bytes=700_000_000),
                WorkerOutOfMemoryError,
                "importing sglang failed",
                id="memory_limit",
            ),
            pytest.param(
                HostSettings(engine={"page_size": "sixteen"}),
                BootError,
                "booting the scheduler failed",
                id="value",
            ),
        ],
    )
    def test_typed(
        self, folder: Path, settings: HostSettings, kind: type[ExhaustersError], said: str
    ) -> None:
        """A boot that cannot be is an error of the right kind, and leaves nothing behind."""
        before = set(psutil.Process().children(recursive=True))
        with pytest.raises(kind, match=said):
            Host(newest_release(), settings)
        assert list(folder.iterdir()) == []
        assert set(psutil.Process().children(recursive=True)) <= before

    def test_boot_timeout(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A boot that takes longer than allowed is a hang, and leaves nothing behind."""
        monkeypatch.setattr("exhausters.worker.host.BOOT_TIMEOUT_SECONDS", 0.5)
        before = set(psutil.Process().children(recursive=True))
        with pytest.raises(WorkerHungError, match=r"no answer to boot within 0\.5 s"):
            Host(newest_release(), _SMALL)
        assert list(folder.iterdir()) == []
        assert set(psutil.Process().children(recursive=True)) <= before


def test_closed_host_is_refused(folder: Path) -> None:
    """A host that was closed says so, and left nothing behind; closing again is harmless."""
    with Host(newest_release(), HostSettings(engine={"no_such_keyword": 1, "kv_canary": "raise"})) as host:
        footprint = Footprint.of(host, folder)
        notes = host.ready.notes
    assert footprint.left_behind() == []
    host.close()
    with pytest.raises(UsageError, match="closed"):
        host.run(scripts.succeed)
    # Keywords that this SGLang has not, or that mean nothing here, are told and not fatal.
    assert notes == (
        "no_such_keyword=1: this SGLang has no such engine keyword; ignored",
        "kv_canary='raise': has no meaning on a CPU without a model; ignored",
    )
