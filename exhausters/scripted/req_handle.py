"""What a script holds of a request that it has started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exhausters.pressure import lock_ref

if TYPE_CHECKING:
    from exhausters.scripted.context import ScriptedContext


@dataclass(frozen=True, slots=True)
class ScriptedReqHandle:
    """One request, by its id; every property asks the scheduler as it stands now."""

    rid: str
    context: ScriptedContext

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
    def kv_pages(self) -> int:
        """Pages of KV the request holds; 0 when it holds none."""
        req = self.req
        if req is None:
            return 0
        page_size = int(self.context.scheduler.page_size)
        return -(-kv_allocated_tokens(req) // page_size)

    @property
    def lock_refs(self) -> int:
        """Lock count of the tree node that the request's prefix ends at."""
        req = self.req
        node = getattr(req, "last_node", None)
        if req is None or node is None:
            return 0
        return lock_ref(self.context.scheduler.tree_cache, node)


def kv_allocated_tokens(req: Any) -> int:
    """KV tokens allocated to a request; older releases keep the count on the request itself."""
    container = getattr(req, "kv", req)
    if container is None:
        return 0
    if not getattr(container, "holds_kv", getattr(req, "req_pool_idx", None) is not None):
        return 0
    return int(container.kv_allocated_len)


def kv_committed_tokens(req: Any) -> int:
    """KV tokens whose values are final; older releases keep the count on the request itself."""
    container = getattr(req, "kv", req)
    return int(container.kv_committed_len) if container is not None else 0
