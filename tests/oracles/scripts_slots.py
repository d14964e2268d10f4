"""Scripts that lead requests to KV slots that are not theirs, in the real scheduler. Run in the worker."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from exhausters.engine.sglang.holdings import path_on
from exhausters.sweep.drain import run_cell
from exhausters.sweep.run_options import CHECKED, RunOptions
from exhausters.workloads import parse_workload

_FIRST_BATCH = 20
# Of the two requests that something is planted between; what is planted stays for fewer batches.
_OUTPUTS_LEFT = 12
_PLANTED_BATCHES = 8


class _Plant:
    """Acts on two decoding requests once, before a batch runs; `undo` some batches later."""

    def __init__(self, t: Any) -> None:
        self.scheduler = t.scheduler
        self.page_size = t.scheduler.page_size
        self.batches_left = -1
        self.was_planted = False
        self._seen = 0
        self._context = t
        self._run_batch = t.scheduler.run_batch
        t.scheduler.run_batch = self._before

    def _before(self, batch: Any, *args: Any, **keywords: Any) -> Any:
        if self._context.phases is not None:
            self._seen += 1
            self.batches_left -= 1
            decoding = batch.reqs if batch.forward_mode.is_decode() else []
            fit = [
                place
                for place, req in enumerate(decoding)
                if req.sampling_params.max_new_tokens - len(req.output_ids) > _OUTPUTS_LEFT
            ]
            if not self.was_planted and self._seen > _FIRST_BATCH and len(fit) > 1:
                self.plant(batch, fit[0], fit[1])
                self.was_planted, self.batches_left = True, _PLANTED_BATCHES
            if self.batches_left == 0:
                self.undo()
        return self._run_batch(batch, *args, **keywords)

    def plant(self, batch: Any, reader: int, other: int) -> None:
        raise NotImplementedError

    def undo(self) -> None:
        """What is planted stays by default."""

    def end(self) -> None:
        vars(self.scheduler).pop("run_batch")
        assert self.was_planted, "nothing was planted: no two requests decoded for long enough"

    def slots(self, req: Any, *, page_of: int) -> Any:
        """The part of a request's page table that is the page of one position; may be written to."""
        row = attrgetter(path_on(req, "req_pool_idx"))(req)
        first = page_of // self.page_size * self.page_size
        return self.scheduler.req_to_token_pool.req_to_token[row, first : first + self.page_size]

    def newest(self, req: Any) -> int:
        """The last position that a request has a slot for."""
        return int(attrgetter(path_on(req, "kv_allocated_len"))(req)) - 1


class _WrongPage(_Plant):
    """The first page of one request is, for some batches, the page that another writes."""

    def plant(self, batch: Any, reader: int, other: int) -> None:
        one, two = batch.reqs[reader], batch.reqs[other]
        self._table = self.slots(one, page_of=0)
        self._saved = self._table.clone()
        self._table[:] = self.slots(two, page_of=self.newest(two))

    def undo(self) -> None:
        self._table[:] = self._saved


class _UsedAfterFree(_Plant):
    """A page that a request writes and reads is the next that the allocator gives out, for another one."""

    def plant(self, batch: Any, reader: int, other: int) -> None:
        req = batch.reqs[reader]
        page = int(self.slots(req, page_of=self.newest(req))[0]) // self.page_size
        # In the place of a page that is then nowhere: the numbers still add up.
        self.scheduler.token_to_kv_pool_allocator.free_pages[0] = page


class _OverwrittenSlot(_Plant):
    """One forward writes the new token of a request over one of another's; page tables are as they were."""

    def plant(self, batch: Any, reader: int, other: int) -> None:
        batch.out_cache_loc[other] = self.slots(batch.reqs[reader], page_of=0)[0]


_PLANTS: dict[str, Callable[[Any], _Plant]] = {
    "wrong page": _WrongPage,
    "use after free": _UsedAfterFree,
    "overwritten slot": _OverwrittenSlot,
}


def planted(t: Any, cell: Any, workload: Any, plant: str) -> Any:
    """Run a checked cell with something planted."""
    planting = _PLANTS[plant](t)
    try:
        return (yield from run_cell(t, cell, workload, RunOptions(passes=(CHECKED,))))
    finally:
        planting.end()


def texts(t: Any, prompts: list[list[int]], count: int) -> Any:
    """Run prompts and return the outputs of each, by what the engine tells when they end."""
    ended: dict[str, tuple[int, ...]] = {}

    class Listener:
        def on_finished(self, *, rid: str, outputs: Any, prompt_tokens: int, was_aborted: bool) -> None:
            assert not was_aborted
            ended[rid] = tuple(outputs)

    stop = t.engine.watch_outputs(Listener())
    try:
        for number, prompt in enumerate(prompts):
            t.submit(prompt, rid=str(number), sampling={"max_new_tokens": count, "temperature": 0.0})
        while len(ended) < len(prompts):
            yield
        yield
    finally:
        stop()
    return [ended[str(number)] for number in range(len(prompts))]


def most_penalized(t: Any, workload: str) -> Any:
    """Run a workload and return the largest number of requests of a batch whose penalties were applied."""
    most = 0

    class Sizes:
        def on_run_batch(self, _batch: Any) -> None:
            nonlocal most
            running = t.engine.native.running_batch
            info = None if running is None else running.sampling_info
            if info is not None and info.penalizer_orchestrator.is_required:
                most = max(most, len(running.reqs))

        def on_step(self) -> None:
            """Nothing is looked at between batches."""

    t.observers.append(Sizes())
    for one in parse_workload(workload).requests:
        t.submit_request(one)
    while not t.is_fully_idle or t.has_unreceived:
        yield
    t.observers.clear()
    return most
