from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from exhausters.engine.settings import HostSettings
from exhausters.targets import NEWEST_RELEASE, PreparedTarget, prepare
from exhausters.worker.host import Host
from exhausters.worker.templates import Templates

# How long an example takes says nothing on a busy machine, and is no promise.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(autouse=True)
def _traced_as_before() -> Iterator[None]:
    """Counting lines ends what else traces this thread: coverage would end with the first such test."""
    before = sys.gettrace()
    yield
    if sys.gettrace() is not before:
        sys.settrace(before)


class Hosts:
    """Booted hosts of the newest release, one for each settings; a boot costs more than most tests.

    They are forks of a template, as those of every command are; tests of boots make their own.
    """

    def __init__(self) -> None:
        self._booted: list[tuple[HostSettings, Host]] = []
        self._templates = Templates(Host.template)

    def get(self, settings: HostSettings) -> Host:
        """A usable host with these settings, booted by whichever test asks first."""
        for known, host in self._booted:
            if known == settings and host.is_usable:
                return host
        release = newest_release()
        with self._templates.borrow(release, settings) as template:
            host = Host(release, settings, template=template)
        self._booted.append((settings, host))
        return host

    def close(self) -> None:
        for _, host in self._booted:
            host.close()
        self._templates.close()


def newest_release() -> PreparedTarget:
    return prepare(f"release:{NEWEST_RELEASE}")


@pytest.fixture(scope="session")
def hosts() -> Iterator[Hosts]:
    pool = Hosts()
    try:
        yield pool
    finally:
        pool.close()
