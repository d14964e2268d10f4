"""The owner of booted workers: boots once, reuses, replaces, closes. On fake hosts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from exhausters.errors import (
    BootError,
    ExhaustersError,
    InstallError,
    MissingModuleError,
    PressureError,
    SeamError,
    UsageError,
    WorkerCrashedError,
    WorkerHungError,
    WorkerOutOfMemoryError,
)
from exhausters.sweep import workers
from exhausters.sweep.cell import EngineSettings
from exhausters.sweep.workers import Workers
from tests.fakes.fake_engine import FakeHost
from tests.sweep.samples import a_target

SMALL, LARGE = EngineSettings(page_size=8), EngineSettings(page_size=16)
BOOT_FAILURES = (
    BootError("does not boot"),
    SeamError("does not boot"),
    MissingModuleError("does not boot", module="a", distribution="b"),
    WorkerCrashedError("does not boot"),
    WorkerOutOfMemoryError("does not boot"),
    WorkerHungError("does not boot"),
)


@pytest.fixture(autouse=True)
def _fake_hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Boot fakes."""
    FakeHost.made.clear()
    monkeypatch.setattr(workers, "Host", FakeHost)
    yield
    FakeHost.made.clear()


def fail_boots(monkeypatch: pytest.MonkeyPatch, error: Exception, *, page_size: int | None = None) -> None:
    """Let boots fail, all or those with one page size."""

    def on_boot(settings: Any) -> None:
        if page_size in (None, settings.engine["page_size"]):
            raise error

    monkeypatch.setattr(FakeHost, "on_boot", staticmethod(on_boot))


def test_a_worker_is_booted_when_needed_and_reused() -> None:
    """One worker serves a lease, and the next one after it; all are closed at the end."""
    with Workers(limit=2) as owner:
        assert FakeHost.made == []
        with owner.lease() as lease:
            host = lease.host(a_target(), SMALL)
            assert lease.host(a_target(), SMALL) is host
        with owner.lend(a_target(), SMALL) as again:
            assert again is host
        assert not FakeHost.made[0].closed
    assert [host.closed for host in FakeHost.made] == [True]


@pytest.mark.parametrize("wanted", [(a_target("0.5.22"), SMALL), (a_target(), LARGE)])
def test_other_targets_and_settings_have_other_workers(wanted: Any) -> None:
    """A worker never runs what it was not booted for."""
    with Workers(limit=2) as owner:
        with owner.lend(a_target(), SMALL):
            pass
        with owner.lend(*wanted) as host:
            assert host is not FakeHost.made[0]
    assert len(FakeHost.made) == 2


def test_an_unused_worker_makes_room() -> None:
    """No more workers stay booted than the limit: the one that was longest unused is closed first."""
    with Workers(limit=2) as owner:
        for engine in (SMALL, LARGE, EngineSettings(page_size=4)):
            with owner.lend(a_target(), engine):
                pass
        assert [host.closed for host in FakeHost.made] == [True, False, False]


def test_two_leases_never_share_a_worker() -> None:
    """While a worker is lent, another lease gets one of its own."""
    with Workers(limit=2) as owner, owner.lease() as first, owner.lease() as second:
        assert first.host(a_target(), SMALL) is not second.host(a_target(), SMALL)


def test_a_dead_worker_is_replaced() -> None:
    """A worker that died is closed, and the next request boots another."""
    with Workers(limit=1) as owner, owner.lease() as lease:
        first: Any = lease.host(a_target(), SMALL)
        first.is_dead = True
        assert lease.host(a_target(), SMALL) is not first
        assert first.closed
    assert [host.closed for host in FakeHost.made] == [True, True]


@pytest.mark.parametrize("error", BOOT_FAILURES, ids=lambda error: type(error).__name__)
def test_a_failed_boot_is_tried_once(monkeypatch: pytest.MonkeyPatch, error: ExhaustersError) -> None:
    """Whatever a boot failed of, later requests for such a worker get its error; other settings boot."""
    fail_boots(monkeypatch, error, page_size=8)
    with Workers(limit=1) as owner:
        for _ in range(3):
            with pytest.raises(type(error), match="does not boot"), owner.lend(a_target(), SMALL):
                pass
        assert len(FakeHost.made) == 1
        with owner.lend(a_target(), LARGE):
            pass
    assert len(FakeHost.made) == 2


def test_a_boot_that_fails_later_is_tried_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that booted before and then failed twice running counts as one that does not boot."""
    with Workers(limit=1) as owner, owner.lease() as lease:
        first: Any = lease.host(a_target(), SMALL)
        first.is_dead = True
        fail_boots(monkeypatch, WorkerCrashedError("does not boot"))
        for said in ("^does not boot", "^does not boot"):
            with pytest.raises(WorkerCrashedError, match=said):
                lease.host(a_target(), SMALL)
    assert len(FakeHost.made) == 3


def test_one_failed_boot_of_what_booted_before_costs_no_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A boot that fails once by chance, after others of its kind, is repeated and lent."""
    failures = [WorkerCrashedError("killed by chance")]

    def on_boot(settings: Any) -> None:
        if len(FakeHost.made) > 1 and failures:
            raise failures.pop()

    monkeypatch.setattr(FakeHost, "on_boot", staticmethod(on_boot))
    with Workers(limit=1) as owner, owner.lease() as lease:
        first: Any = lease.host(a_target(), SMALL)
        first.is_dead = True
        assert lease.host(a_target(), SMALL).is_usable
    assert len(FakeHost.made) == 3


def test_a_remembered_failure_is_raised_as_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request gets an error of its own, of the same type and with the same attributes, that says why."""
    error = BootError("does not boot", log_tail="last line")
    fail_boots(monkeypatch, error)
    caught = []
    with Workers(limit=1) as owner:
        for _ in range(3):
            with pytest.raises(BootError) as one, owner.lend(a_target(), SMALL):
                pass
            caught.append(one.value)
    assert len({id(one) for one in caught}) == 3
    assert [one.args[0] for one in caught] == ["does not boot"] * 3
    assert [one.log_tail for one in caught] == ["last line"] * 3


@pytest.mark.parametrize("lent", [True, False])
def test_one_worker_that_cannot_be_closed_leaves_no_other(
    monkeypatch: pytest.MonkeyPatch, lent: bool
) -> None:
    """When closing one worker raises, the others are closed all the same, and the error is raised."""

    def close(host: FakeHost) -> None:
        host.closed = True
        if host.settings.engine["page_size"] == 8:
            raise OSError("cannot be closed")

    monkeypatch.setattr(FakeHost, "close", close)
    owner = Workers(limit=3)
    lease = owner.lease()
    for engine in (SMALL, LARGE, EngineSettings(page_size=4)):
        lease.host(a_target(), engine)
    if lent:
        owner.interrupt()
    else:
        lease.__exit__(None, None, None)
    with pytest.raises(OSError, match="cannot be closed"):
        lease.__exit__(None, None, None) if lent else owner.close()
    assert [host.closed for host in FakeHost.made] == [True] * 3


@pytest.mark.parametrize("fails", [True, False])
def test_threads_wait_for_the_first_boot(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    """While a setting is booted for the first time nobody else tries; then all fail alike, or all boot."""
    started, go_on = threading.Event(), threading.Event()

    def on_boot(settings: Any) -> None:
        started.set()
        assert go_on.wait(30)
        if fails:
            raise BootError("does not boot")

    monkeypatch.setattr(FakeHost, "on_boot", staticmethod(on_boot))
    told: list[str] = []
    all_hold = threading.Barrier(3)

    def want() -> None:
        try:
            with owner.lend(a_target(), SMALL):
                all_hold.wait(30)
                told.append("booted")
        except BootError as error:
            told.append(str(error))

    with Workers(limit=3) as owner:
        threads = [threading.Thread(target=want) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert started.wait(30)
        assert len(FakeHost.made) == 1
        go_on.set()
        for thread in threads:
            thread.join(30)
    again = "does not boot"
    assert told == (["does not boot", again, again] if fails else ["booted"] * 3)
    assert len(FakeHost.made) == (1 if fails else 3)


@pytest.mark.parametrize("error", [PressureError("a script's"), SeamError("a script's")])
def test_a_scripts_error_keeps_the_worker(error: ExhaustersError) -> None:
    """What a script raised, a missing seam included, costs no boot: the worker is reset before the next."""
    with Workers(limit=1) as owner:
        with pytest.raises(type(error)), owner.lend(a_target(), SMALL):
            raise error
        with owner.lend(a_target(), SMALL):
            pass
    assert [host.closed for host in FakeHost.made] == [True]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, SystemExit])
def test_an_interrupted_worker_is_not_reused(error: type[BaseException]) -> None:
    """A worker in which a script may still be running is killed and closed, not lent again."""
    with Workers(limit=1) as owner:
        with pytest.raises(error), owner.lend(a_target(), SMALL):
            raise error
        assert [(host.interrupted, host.closed) for host in FakeHost.made] == [(True, True)]
        with owner.lend(a_target(), SMALL):
            pass
    assert len(FakeHost.made) == 2


def test_an_interrupted_boot_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a worker boots is no failure of the boot."""
    fail_boots(monkeypatch, KeyboardInterrupt())  # type: ignore[arg-type]
    with Workers(limit=1) as owner:
        with pytest.raises(KeyboardInterrupt), owner.lend(a_target(), SMALL):
            pass
        monkeypatch.undo()
        monkeypatch.setattr(workers, "Host", FakeHost)
        with owner.lend(a_target(), SMALL):
            pass
    assert len(FakeHost.made) == 2


def test_interrupt_reaches_every_worker_that_is_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and boots under way are stopped, and nothing is booted afterwards."""
    with Workers(limit=2) as owner:
        with owner.lease() as lease:
            lease.host(a_target(), SMALL)

            def on_boot(settings: Any) -> None:
                owner.interrupt()
                assert all(host.interrupted for host in FakeHost.made)

            monkeypatch.setattr(FakeHost, "on_boot", staticmethod(on_boot))
            lease.host(a_target(), LARGE)
        assert [(host.interrupted, host.closed) for host in FakeHost.made] == [(True, True)] * 2
        with pytest.raises(UsageError, match="were closed"), owner.lend(a_target(), SMALL):
            pass


def test_a_target_is_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target is made ready once, and one that could not be made ready is not tried again."""
    asked: list[str] = []

    def prepare(target: str) -> Any:
        asked.append(target)
        if target == "release:0.5.22":
            raise InstallError("no index today")
        return a_target()

    monkeypatch.setattr(workers, "prepare", prepare)
    with Workers(limit=1) as owner:
        for _ in range(2):
            assert owner.prepared("release:0.5.23") == a_target()
            with pytest.raises(InstallError, match="no index today"):
                owner.prepared("release:0.5.22")
    assert asked == ["release:0.5.23", "release:0.5.22"]


def test_threads_share_without_clashing() -> None:
    """Under many threads no worker is lent twice at a time, and no more are booted than the limit."""
    engines = [EngineSettings(page_size=size) for size in (4, 8, 16)]
    in_use: set[int] = set()
    lock = threading.Lock()
    clashes: list[str] = []

    def borrow(seed: int) -> None:
        for turn in range(40):
            with owner.lend(a_target(), engines[(seed + turn * seed) % 3]) as host:
                with lock:
                    booted = sum(not one.closed for one in FakeHost.made)
                    if id(host) in in_use or booted > 4:
                        clashes.append(f"thread {seed}, turn {turn}: {booted} booted")
                    in_use.add(id(host))
                with lock:
                    in_use.discard(id(host))

    with Workers(limit=4) as owner:
        threads = [threading.Thread(target=borrow, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert clashes == []
    assert all(host.closed for host in FakeHost.made)
