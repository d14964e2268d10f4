"""Which files a comparison watches line by line: watching all of them costs four times a plain run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from exhausters.compare.sources import Sources
from exhausters.engine.load import source_tree
from exhausters.reach.changed_functions import changed_functions
from exhausters.reach.changed_lines import changed_files
from exhausters.reach.source_text import read_source

# Of a larger change, such as a release, most files differ: nothing is gained by looking for more.
_MAX_FILES = 30


def line_files(sources: Sources) -> tuple[str, ...]:
    """Return the files that differ, and those of the scheduler's folders that call by name what changed.

    The conditions above these calls say what kept a changed function from being called.
    """
    differing = sources.differing
    if not 0 < len(differing) <= _MAX_FILES:
        return tuple(sorted(differing))
    changes = changed_files(sources.base, sources.head, below=sources.watched, among=differing)
    touched = changed_functions(changes, base=sources.base, head=sources.head).touched
    names = {part for one in touched for part in one.name.split(".")[-2:] if not part.startswith(("__", "<"))}
    if not names:
        return tuple(sorted(differing))
    call = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(names)))})\(")
    return tuple(sorted(differing | set(_calling(sources, call))))


def _calling(sources: Sources, call: re.Pattern[str]) -> Iterator[str]:
    for root in (sources.base, sources.head):
        for below in source_tree(sources.engine).SCHEDULER_FOLDERS:
            for path in (root / below).rglob("*.py"):
                if call.search(read_source(path)):
                    yield str(path.relative_to(Path(root)))
