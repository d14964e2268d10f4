"""A copy of the newest release with a plant in its scheduler, as a `path:` target."""

from __future__ import annotations

import shutil
from pathlib import Path

from exhausters.targets import PreparedTarget, prepare
from tests.conftest import newest_release

_WRAPPED = """

def _planted(original):
    def get_next_batch_to_run(self, *args, **keywords):
        {plant}
        return original(self, *args, **keywords)
    return get_next_batch_to_run


Scheduler.get_next_batch_to_run = _planted(Scheduler.get_next_batch_to_run)
"""
NOTHING = "pass"
# Every token of the queue into one list. `map`, `chain` and `list` call one another in C: no call is seen.
COPY_OF_TOKENS = (
    "list(__import__('itertools').chain.from_iterable("
    "map(__import__('operator').attrgetter('origin_input_ids'), self.waiting_queue)))"
)
SCAN_OF_QUEUE = "for _ in self.waiting_queue: pass"


def planted(plant: str, folder: Path) -> PreparedTarget:
    """Copy the newest release into a folder, and run a statement at the start of every step."""
    (source,) = newest_release().source_dirs
    shutil.copytree(source, folder)
    scheduler = folder / "sglang" / "srt" / "managers" / "scheduler.py"
    scheduler.write_text(scheduler.read_text() + _WRAPPED.format(plant=plant))
    return prepare(f"path:{folder}")
