"""What a script holds of a request that it has started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


class AnswersAboutRequests(Protocol):
    """The part of the scripted context that a handle asks."""

    def find_req_by_rid(self, rid: str) -> Any | None:
        """The engine's request object, or None."""

    def is_finished(self, rid: str) -> bool:
        """Whether it has run to its end or was aborted."""

    def is_chunking(self, rid: str) -> bool:
        """Whether it is the request being prefilled in chunks right now."""

    def chunks_done(self, rid: str) -> int:
        """Prefill chunks that have run."""

    def status(self, rid: str) -> str:
        """`waiting`, `running`, `finished` or `unknown`."""

    def remaining_prompt_tokens(self, rid: str) -> int:
        """Prompt tokens whose KV is not committed yet."""

    def output_tokens(self, rid: str) -> int:
        """Tokens it has emitted."""

    def kv_pages(self, rid: str) -> int:
        """Pages of KV it holds."""

    def lock_refs(self, rid: str) -> int:
        """Locks on the tree node at which its cached prefix ends."""


@dataclass(frozen=True, slots=True)
class ScriptedReqHandle:
    """One request, by its id; every property asks the scheduler as it stands now."""

    rid: str
    context: AnswersAboutRequests

    @property
    def req(self) -> Any | None:
        """SGLang's request object, or None when no queue or batch holds it (any more)."""
        return self.context.find_req_by_rid(self.rid)

    @property
    def finished(self) -> bool:
        """Whether it has run to its end or was aborted."""
        return self.context.is_finished(self.rid)

    @property
    def is_chunking(self) -> bool:
        """Whether it is the request being prefilled in chunks right now."""
        return self.context.is_chunking(self.rid)

    @property
    def chunks_done(self) -> int:
        """Prefill chunks that have run; 0 for a prompt that was prefilled in one piece."""
        return self.context.chunks_done(self.rid)

    @property
    def status(self) -> str:
        """`waiting`, `running`, `finished` or `unknown`."""
        return self.context.status(self.rid)

    @property
    def remaining_prompt_tokens(self) -> int:
        """Prompt tokens whose KV is not committed yet."""
        return self.context.remaining_prompt_tokens(self.rid)

    @property
    def output_tokens(self) -> int:
        """Tokens it has emitted; 0 when no queue or batch holds it (any more)."""
        return self.context.output_tokens(self.rid)

    @property
    def kv_pages(self) -> int:
        """Pages of KV the request holds; 0 when it holds none."""
        return self.context.kv_pages(self.rid)

    @property
    def lock_refs(self) -> int:
        """Lock count of the tree node that the request's prefix ends at."""
        return self.context.lock_refs(self.rid)
