"""Ranks that share the layers of a model decide alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exhausters.observe.other_ranks import Disagreement
from exhausters.oracles.base import Oracle, World


class RanksAgree(Oracle):
    """Every rank runs the same batch, with the same free pages, in the same step.

    Ranks of tensor parallelism compute parts of the same forward: with different batches they would wait for
    each other for ever, or add up numbers of different requests. The recorder compares their records; whoever
    drives the run hands on what it found. What has parted stays apart, so each rank is told once.
    """

    name = "ranks agree"
    wants = (
        "after every step each rank of tensor or pipeline parallelism has the record of the first: the same "
        "batch, the same evictions and retractions, the same pools, modelled time aside"
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.not_judged = "one rank: there is none to agree with"
        self._places: dict[int, int] = {}

    def on_ranks(self, disagreements: Sequence[Disagreement], *, is_alike: bool) -> None:
        """The ranks have been compared after a step; these differ from the first."""
        if not is_alike:
            self.not_judged = "data-parallel attention: each rank has requests of its own"
            return
        self.not_judged = ""
        self.judged += 1
        for one in disagreements:
            place = self._places.setdefault(one.rank, len(self.findings))
            if place < len(self.findings):
                known = self.findings[place]
                self.findings[place] = replace(known, steps=known.steps + 1)
            else:
                self.found(str(one), step=one.step, cause=f"rank {one.rank}: {one.field}")
