"""A scheduler with a queue, batches, chunked prefill, retraction and an event loop, in plain words."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable

from exhausters.engine.api import DECODE, PREFILL, EngineHook
from exhausters.engine.fake.page_trie import PageTrie
from exhausters.engine.fake.pools import PagePool, RowTable, StateSlots
from exhausters.engine.fake.requests import FakeBatch, FakeRequest, Retracted
from exhausters.workloads import DEFAULT_TEXT, EmittedText

# The budget of a prefill batch where chunking is off.
_UNLIMITED_TOKENS = 1 << 60


class FakeScheduler:
    """One scheduler: queue, batches, pools, prefix cache, and an event loop of one `iterate` after another.

    Attributes:
        inbox: what is to be done in the next iteration, right after the hook's step.
        hook: called at the top of each iteration and before each batch.
        queue, running, last, chunked: where requests are.
        is_marked_full: admits nobody while it is set; it sets no mark by itself.
    """

    def __init__(
        self,
        *,
        page_size: int = 16,
        max_total_tokens: int = 4096,
        max_running_requests: int = 64,
        chunked_prefill_size: int = 256,
        disable_radix_cache: bool = False,
        text: EmittedText = DEFAULT_TEXT,
        mamba_slots: int = 0,
    ) -> None:
        self.pages = PagePool(page_count=max_total_tokens // page_size, page_size=page_size)
        self.rows = RowTable(row_count=max_running_requests)
        self.states = StateSlots(slot_count=mamba_slots) if mamba_slots else None
        self.trie = PageTrie(self.pages, is_disabled=disable_radix_cache)
        self.inbox: deque[Callable[[], None]] = deque()
        self.hook: EngineHook | None = None
        self.queue: list[FakeRequest] = []
        self.running = FakeBatch()
        self.last: FakeBatch | None = None
        self.chunked: FakeRequest | None = None
        self.is_paused = False
        self.is_marked_full = False
        self.chunked_prefill_size = chunked_prefill_size
        self._text = text

    def iterate(self) -> None:
        """One iteration of the event loop."""
        assert self.hook is not None, "an event loop needs a hook"
        self.hook.step()
        while self.inbox:
            self.inbox.popleft()()
        if self.is_paused:
            return
        batch = self.form_batch()
        if batch is not None:
            self.run_batch(batch)
            self.process_result(batch)
        self.last = batch

    # What arrives in the inbox.

    def receive(self, rid: str, prompt: array[int], max_new_tokens: int) -> None:
        """Put a request into the queue."""
        self.queue.append(FakeRequest(rid=rid, prompt=prompt, max_new_tokens=max_new_tokens))

    def pause(self, mode: str) -> None:
        """Run nothing until `resume`; `retract` puts running requests back into the queue."""
        self.is_paused = True
        if mode == "in_place":
            return
        for request in self.holders():
            self._give_back_kv(request)
            self.queue.append(request)
        self.running, self.last, self.chunked = FakeBatch(), None, None

    def resume(self) -> None:
        """Run again."""
        self.is_paused = False

    def abort(self, prefix: str) -> None:
        """End all requests whose id begins so; a running one runs one more forward, as in SGLang."""
        self.queue = [request for request in self.queue if not request.rid.startswith(prefix)]
        for request in self.holders():
            request.is_aborted = request.is_aborted or request.rid.startswith(prefix)

    def flush(self) -> None:
        """Empty the prefix cache and the pools of an idle engine."""
        if self.is_fully_idle():
            self.trie.reset()
            self.pages.reset()
            self.rows.reset()
            if self.states is not None:
                self.states.reset()
            self.last = None

    # Questions.

    def is_idle(self) -> bool:
        """Whether nothing waits, runs, or is being prefilled in chunks."""
        return not self.queue and not self.running.requests and self.chunked is None

    def is_fully_idle(self) -> bool:
        """`is_idle`, and the last batch is empty too."""
        return self.is_idle() and (self.last is None or not self.last.requests)

    def holders(self) -> list[FakeRequest]:
        """Unfinished requests that were admitted, oldest first."""
        last = self.last.requests if self.last is not None else []
        chunked = [self.chunked] if self.chunked is not None else []
        every = dict.fromkeys([*self.running.requests, *last, *chunked])
        return [request for request in every if not request.is_finished]

    # The phases of an iteration.

    def form_batch(self) -> FakeBatch | None:
        """Merge what was prefilled, then form a prefill batch if anything can be admitted, else a decode."""
        if self.chunked is not None and self.chunked.is_aborted:
            self._give_back_kv(self.chunked)
            self.chunked = None
        last = self.last
        if last is not None and last.mode == PREFILL:
            last.requests = [request for request in last.requests if request is not self.chunked]
            self.running = FakeBatch(requests=[*self.running.requests, *last.requests])
        self.running.requests = [
            request
            for request in self.running.requests
            if not request.is_finished and request.row is not None
        ]
        return self._prefill_batch() or self._decode_batch()

    def run_batch(self, batch: FakeBatch) -> None:
        """Tell the hook; there is nothing to compute."""
        if self.hook is not None:
            self.hook.on_run_batch(batch)

    def process_result(self, batch: FakeBatch) -> None:
        """Emit a token for each request whose prompt is complete; end those that have all of theirs."""
        for request in batch.requests:
            if request is self.chunked:
                continue
            request.outputs.extend(self._text.after(request.tokens, 1))
            if request.is_aborted or len(request.outputs) >= request.max_new_tokens:
                self._finish(request)

    def retract(self) -> Retracted:
        """Put the newest running requests back until the others can decode; give up the last if it cannot."""
        own_tokens: dict[str, int] = {}
        requests, aborted = self.running.requests, []
        while len(requests) > 1 and not self._has_room_to_decode():
            request = requests.pop()
            own_tokens[request.rid] = request.computed_tokens - request.tree_pages * self.pages.page_size
            self._give_back_kv(request)
            self.queue.append(request)
        if not self._has_room_to_decode():
            aborted.append(requests.pop())
        return Retracted(own_tokens=own_tokens, aborted=aborted)

    def _prefill_batch(self) -> FakeBatch | None:
        batch = FakeBatch(mode=PREFILL)
        budget = self.chunked_prefill_size if self.chunked_prefill_size > 0 else _UNLIMITED_TOKENS
        if self.chunked is not None:
            budget -= self._extend(batch, self.chunked, budget)
        # One chunked request at a time, and nobody overtakes: first come, first served.
        while self.queue and budget > 0 and self.chunked is None and not self.is_marked_full:
            if not self._admit(self.queue[0]):
                break
            budget -= self._extend(batch, self.queue.pop(0), budget)
        return batch if batch.requests else None

    def _admit(self, request: FakeRequest) -> bool:
        """Give the request a row and its cached prefix, if the rest of its tokens and one more page fit."""
        tokens = request.tokens
        if self.rows.available_rows() == 0:
            return False
        if self.states is not None and self.states.available_slots() == 0:
            return False
        pages, node = self.trie.match(tokens[:-1])  # one token at least must be computed
        self.trie.lock(node)
        room_tokens = self.pages.available_tokens() + self.trie.evictable_tokens()
        if room_tokens < (self._page_count(len(tokens)) - len(pages) + 1) * self.pages.page_size:
            self.trie.unlock(node)
            return False
        (request.row,) = self.rows.take(1)
        if self.states is not None:
            (request.state_slot,) = self.states.take(1)
        request.node = node
        request.pages, request.tree_pages = pages, len(pages)
        request.computed_tokens = len(pages) * self.pages.page_size
        return True

    def _extend(self, batch: FakeBatch, request: FakeRequest, budget: int) -> int:
        """Put the request's next tokens into the batch; a chunk that finds no page is left out (parked)."""
        left = len(request.tokens) - request.computed_tokens
        # A chunk ends at a page, so that the next one begins a page.
        count = left if left <= budget else budget - budget % self.pages.page_size
        self.chunked = request if count < left else None
        if not self._grow(request, count):
            self.chunked = request
            return 0
        batch.requests.append(request)
        batch.tokens.append(count)
        batch.prefix_tokens.append(request.computed_tokens - count)
        return count

    def _decode_batch(self) -> FakeBatch | None:
        running = self.running
        if not running.requests:
            return None
        if not self._has_room_to_decode():
            for request in self.retract().aborted:
                self._give_back_kv(request)
                request.is_finished = True
        for request in running.requests:
            self._grow(request, 1)
        running.mode = DECODE
        return running if running.requests else None

    def _has_room_to_decode(self) -> bool:
        """Whether each running request can have one more token, after evicting what is needed."""
        size = self.pages.page_size
        return self._make_room(
            sum(request.computed_tokens == len(request.pages) * size for request in self.running.requests)
        )

    def _grow(self, request: FakeRequest, count: int) -> bool:
        need = self._page_count(request.computed_tokens + count) - len(request.pages)
        if need > 0:
            pages = self.pages.allocate(need) if self._make_room(need) else None
            if pages is None:
                return False
            request.pages.extend(pages)
        request.computed_tokens += count
        return True

    def _make_room(self, page_count: int) -> bool:
        """Evict what is short; whether that many pages are free now."""
        tokens = page_count * self.pages.page_size
        short = tokens - self.pages.available_tokens()
        if short > 0:
            self.trie.evict(short)
        return self.pages.available_tokens() >= tokens

    def _finish(self, request: FakeRequest) -> None:
        """Leave the whole pages to the prefix cache and free the rest."""
        whole = request.tree_pages
        if not self.trie.is_disabled:
            whole = request.computed_tokens // self.pages.page_size
            self.trie.insert(request.tokens[: whole * self.pages.page_size], request.pages[:whole])
        self.pages.free(request.pages[whole:])
        self._leave_pools(request)
        request.is_finished = True

    def _give_back_kv(self, request: FakeRequest) -> None:
        """Free what is the request's own, its row included, and unlock what is the tree's."""
        self.pages.free(request.pages[request.tree_pages :])
        self._leave_pools(request)

    def _leave_pools(self, request: FakeRequest) -> None:
        if request.node is not None:
            self.trie.unlock(request.node)
        if request.row is not None:
            self.rows.give_back([request.row])
        if self.states is not None and request.state_slot is not None:
            self.states.give_back([request.state_slot])
        request.node = request.row = request.state_slot = None
        request.pages, request.tree_pages, request.computed_tokens = [], 0, 0

    def _page_count(self, tokens: int) -> int:
        return -(-tokens // self.pages.page_size)
