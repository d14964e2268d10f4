"""No slot is read after it was freed, or written by two."""

from __future__ import annotations

from exhausters.engine.api import IDLE, PADDING_PAGE, WRITTEN_BY_TWO, BatchView, SlotFault
from exhausters.observe.step_record import StepRecord
from exhausters.oracles.base import Oracle, World

# A page in the wrong table stays there for as long as the request lives.
LOOK_EVERY_STEPS = 4


class SlotOwnership(Oracle):
    """Before a forward, every page in the table of a request that lives is its own or the tree's."""

    name = "slot ownership"
    wants = (
        "when a batch runs, no page in the table of a living request is free, and no page that a request "
        "writes is in the table of another"
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._step = 0
        self._told: set[str] = set()

    def on_step(self, step: StepRecord) -> None:
        """Know the number of the step that is under way."""
        self._step = step.step + 1

    def on_batch(self, batch: BatchView) -> None:
        """Every few steps, look at the page tables."""
        if self._step % LOOK_EVERY_STEPS or batch.mode == IDLE:
            return
        self.judged += 1
        for fault in self.world.engine.slot_faults():
            # A page that stays wrong is one finding.
            if fault.rid not in self._told:
                self._told.add(fault.rid)
                rids = (fault.rid, fault.other_rid) if fault.other_rid else (fault.rid,)
                self.found(_in_words(fault), step=self._step, rids=rids, cause=fault.kind)


def _in_words(fault: SlotFault) -> str:
    where = f"the table of {fault.rid} has page {fault.page} at position {fault.position:,}"
    if fault.kind == WRITTEN_BY_TWO:
        return f"{where}, which {fault.other_rid} has, too, and one of them writes it"
    if fault.kind == PADDING_PAGE:
        return f"{where}, in which nothing may be kept"
    return f"{where}, which is free"
