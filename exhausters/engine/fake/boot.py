"""Boot the fake engine in a worker, without torch or sglang; an `exhausters.engine.api.Boot`."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from exhausters.engine.api import ALONE, ONLY_RANK, BootFacts, Engine, EngineHook, Place, World
from exhausters.engine.fake.engine import FakeEngine
from exhausters.engine.fake.scheduler import FakeScheduler
from exhausters.engine.settings import MAMBA_MODELS, HostSettings
from exhausters.errors import UnsupportedSettingError

# The engine keywords that mean something here; the others are noted.
KEYWORDS = (
    "page_size",
    "max_total_tokens",
    "max_running_requests",
    "chunked_prefill_size",
    "disable_radix_cache",
)

# Slots of states where nothing says how many rows there are: as many as rows by default.
_ROWS = 64


def import_before_clock() -> None:
    """Nothing waits in real time."""


def load_common() -> None:
    """Nothing is installed beside it; a variable may ask for what an import does: to set another one."""
    name = os.environ.get("EXHAUSTERS_FAKE_SETS")
    if name:
        os.environ[name] = f"{os.environ['TMPDIR']}/fake"


def load(settings: HostSettings, source_dirs: tuple[str, ...]) -> None:
    """Nothing is left to import."""


def refusal(text: str, settings: HostSettings) -> UnsupportedSettingError | None:
    """Return None: what the fake engine refuses, it refuses by an error of its own."""
    return None


def require_switches(switches: Mapping[str, Any], *, known: Collection[str] = KEYWORDS) -> None:
    """Refuse switches that mean nothing here: a switch must be taken as it is, not ignored.

    Raises:
        UnsupportedSettingError: names the first one.
    """
    for name, value in switches.items():
        if name not in known:
            raise UnsupportedSettingError(
                f"server_args.{name}={value!r}: the fake engine has no such switch; "
                f"it has {', '.join(KEYWORDS)}"
            )


def check(settings: HostSettings, facts: BootFacts) -> None:
    """What comes up is what was asked for."""


def world(settings: HostSettings) -> World:
    """One rank: it has no others."""
    return ALONE


def run(
    *,
    settings: HostSettings,
    run_dir: Path,
    make_hook: Callable[[Engine], EngineHook],
    on_started: Callable[[tuple[str, ...]], None],
    place: Place = ONLY_RANK,
) -> str:
    """Run the event loop until the hook ends it with SystemExit; return the traceback of any other end."""
    require_switches(settings.switches)
    if settings.speculative_accept:
        raise UnsupportedSettingError(
            f"speculative_accept={settings.speculative_accept}: the fake engine drafts nothing"
        )
    known: dict[str, Any] = {name: settings.engine[name] for name in KEYWORDS if name in settings.engine}
    notes = [
        f"{name}={value!r}: the fake engine has no such keyword; ignored"
        for name, value in settings.engine.items()
        if name not in known
    ]
    arguments = known | dict(settings.switches)
    if settings.model in MAMBA_MODELS:
        arguments["mamba_slots"] = arguments.get("max_running_requests", _ROWS)
    scheduler = FakeScheduler(**arguments, text=settings.text)
    scheduler.hook = make_hook(FakeEngine(scheduler))
    on_started(tuple(notes))
    try:
        while True:
            scheduler.iterate()
    except Exception:
        return traceback.format_exc()
