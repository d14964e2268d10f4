"""Owns the templates of a command: at most a few, the longest unused is ended when another is needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from exhausters.engine.settings import HostSettings
from exhausters.targets import PreparedTarget
from exhausters.worker.processes import Template

# Two builds, each with and without a variable that its imports see. Each takes half a gigabyte, which it
# shares with what it has forked.
MAX_TEMPLATES = 4

MakeTemplate = Callable[[PreparedTarget, HostSettings], Template | None]


@dataclass(slots=True)
class _Kept:
    template: Template
    users: int = 0


class Templates:
    """Lends templates to threads that boot workers; `close` ends all."""

    def __init__(self, make: MakeTemplate) -> None:
        """`make` starts a template, or returns None where boots are no forks."""
        self._make = make
        self._lock = threading.Lock()
        self._kept: list[_Kept] = []  # longest unused first
        self._is_interrupted = False

    @contextmanager
    def borrow(self, target: PreparedTarget, settings: HostSettings) -> Iterator[Template | None]:
        """Lend a template for one boot; None where that boot can be no fork."""
        kept = self._take(target, settings) if Template.is_possible(settings) else None
        try:
            yield None if kept is None else kept.template
        finally:
            if kept is not None:
                with self._lock:
                    kept.users -= 1

    def interrupt(self) -> None:
        """End all at once, from any thread; boots that wait for one go on without."""
        with self._lock:
            self._is_interrupted = True
            for kept in self._kept:
                kept.template.interrupt()

    def close(self) -> None:
        """End all; what they have forked has ended before."""
        with self._lock:
            self._is_interrupted = True
            kept, self._kept = self._kept, []
        for one in kept:
            one.template.close()

    def _take(self, target: PreparedTarget, settings: HostSettings) -> _Kept | None:
        with self._lock:
            if self._is_interrupted:
                return None
            found = next((one for one in self._kept if one.template.fits(target, settings)), None)
            if found is None:
                made = self._make(target, settings)
                if made is None:
                    return None
                self._make_room()
                found = _Kept(made)
            else:
                self._kept.remove(found)
            self._kept.append(found)
            found.users += 1
            return found

    def _make_room(self) -> None:
        for one in [one for one in self._kept if not one.users]:
            if len(self._kept) < MAX_TEMPLATES:
                return
            self._kept.remove(one)
            one.template.close()
