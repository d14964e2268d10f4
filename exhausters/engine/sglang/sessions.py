"""Sessions: SGLang keeps the tokens of a conversation, and of a streaming one its KV and request row, too.

A streaming session has a slot in the tree cache (`session.slots`; where a cache is wrapped for sessions, the
wrapper has them) with what it keeps between two turns: a row, and pages from the end of the tree's part of
its prefix on. While a turn runs its request has the same row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from exhausters.engine.sglang import request_messages as messages
from exhausters.engine.sglang.holdings import Holders, path_on
from exhausters.engine.sglang.mamba_pool import has_slots
from exhausters.engine.sglang.window_pool import is_hybrid
from exhausters.errors import UnsupportedSettingError

_SWITCH = "enable_streaming_session"
# Characters that a session may hold; SGLang's own clients send a number of this size, and nothing reads it.
_CAPACITY = 1 << 20


class Sessions:
    """Opens and closes sessions by SGLang's own messages."""

    def __init__(self, scheduler: Any, put: Callable[[Any], None]) -> None:
        self._scheduler = scheduler
        self._put = put
        self._open: dict[str, None] = {}

    @property
    def open_ids(self) -> tuple[str, ...]:
        """Sessions that were opened and not closed."""
        return tuple(self._open)

    def open(self, session_id: str, *, is_streaming: bool) -> None:
        """Open a session; SGLang receives it in the iteration that follows.

        Raises:
            UnsupportedSettingError: SGLang's server would refuse it, or what it keeps cannot be counted here.
        """
        if not hasattr(self._scheduler, "session_controller"):
            raise UnsupportedSettingError(f"session {session_id!r}: this SGLang has no session_controller")
        if is_streaming:
            self._require_streaming(session_id)
        self._put(messages.open_session(session_id, is_streaming=is_streaming, capacity=_CAPACITY))
        self._open[session_id] = None

    def _require_streaming(self, session_id: str) -> None:
        what = f"session {session_id!r} is to be a streaming one"
        if not getattr(self._scheduler.server_args, _SWITCH, False):
            raise UnsupportedSettingError(
                f"{what}: this engine opens none; boot it with server_args.{_SWITCH} = [true], or write "
                "sessions=plain"
            )
        if is_hybrid(self._scheduler):
            raise UnsupportedSettingError(f"{what}: what it keeps of a sliding window cannot be counted")
        if has_slots(self._scheduler):
            raise UnsupportedSettingError(f"{what}: what it keeps of recurrent states is not counted")
        if slots_of(self._scheduler) is None:
            raise UnsupportedSettingError(
                f"{what}: {type(self._scheduler.tree_cache).__name__} has no slots for sessions"
            )

    def cached_prefixes(self, holders: Holders) -> dict[str, tuple[int, object | None]]:
        """What the tree keeps for each session, as `Holders.cached_prefixes` tells it of requests.

        A turn that runs has the tokens; the lock is the session's all the same.
        """
        if not slots_of(self._scheduler):
            return {}
        running = {holders.row(req) for req in holders.owners()}
        return {
            f"session {one.session_id}": (0 if one.row in running else one.protected, one.node)
            for one in kept_by_sessions(self._scheduler)
        }

    def close(self, session_id: str) -> None:
        """Close a session; harmless when it is not open."""
        if session_id in self._open:
            del self._open[session_id]
            self._put(messages.close_session(session_id))


def slots_of(scheduler: Any) -> Mapping[str, Any] | None:
    """What streaming sessions keep, by session id; None where the cache has no such thing."""
    tree = scheduler.tree_cache
    for owner in (getattr(tree, "session", None), tree):
        slots: Mapping[str, Any] | None = getattr(owner, "slots", None)
        if slots is not None:
            return slots
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What one session keeps.

    Attributes:
        session_id: its id.
        row: its request row.
        allocated, protected: tokens that have a place, and those at their head that the tree owns.
        node: handle of the node at which these end.
    """

    session_id: str
    row: int
    allocated: int
    protected: int
    node: object | None


def kept_by_sessions(scheduler: Any) -> list[Kept]:
    """What each session that has a row keeps, a turn of it running or not."""
    found = []
    for session_id, slot in (slots_of(scheduler) or {}).items():
        row = _read(slot, "req_pool_idx")
        if row is not None:
            lock = getattr(slot, "lock", None)
            found.append(
                Kept(
                    session_id=session_id,
                    row=int(row),
                    allocated=int(_read(slot, "kv_allocated_len")),
                    protected=int(_read(slot, "cache_protected_len")),
                    node=getattr(slot, "last_node", None) if lock is None else lock.node,
                )
            )
    return found


def _read(slot: Any, name: str) -> Any:
    value = slot
    for part in path_on(slot, name).split("."):
        value = getattr(value, part)
    return value
