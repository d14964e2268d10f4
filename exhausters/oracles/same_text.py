"""Every request gets the text that its prompt determines."""

from __future__ import annotations

from collections.abc import Sequence

from exhausters.observe.step_record import StepRecord
from exhausters.oracles.base import Oracle, World


class SameText(Oracle):
    """Outputs are a function of the prompt alone, whatever the scheduler did meanwhile.

    Judged when a request ends. What was aborted must be the beginning of its text.
    """

    name = "same text"
    wants = (
        "the outputs of every request are those that its prompt determines: no page of another request, no "
        "page that was given away, no overwritten slot, no wrong token was read"
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._step = 0
        if world.text.fixed_token is not None:
            self.not_judged = "the model emits one fixed token"

    def on_step(self, step: StepRecord) -> None:
        """Know the number of the step that is under way."""
        self._step = step.step + 1

    def on_finished(self, *, rid: str, outputs: Sequence[int], prompt_tokens: int, was_aborted: bool) -> None:
        """Judge the outputs of a request that has ended."""
        prompt = self.world.requests.prompt(rid)
        if not prompt or (was_aborted and len(prompt) != prompt_tokens):  # not of this run, or refused
            return
        if self.world.requests.is_prefill_only(rid):
            return
        self.judged += 1
        expected = self.world.text.after(prompt, len(outputs))
        for place, (found, wanted) in enumerate(zip(outputs, expected, strict=True)):
            if found == wanted:
                continue
            wrong = sum(one != other for one, other in zip(outputs, expected, strict=True))
            self.found(
                f"output {place} of {rid} is {found}, and {wanted} by the {len(prompt) + place:,} tokens "
                f"before it; {wrong} of its {len(outputs)} outputs are wrong",
                step=self._step,
                rids=(rid,),
                cause="aborted" if was_aborted else "",
            )
            return
