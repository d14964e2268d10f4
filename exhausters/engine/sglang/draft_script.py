"""What the null drafts of one scheduler propose, by the script of a boot."""

from __future__ import annotations

from array import array
from typing import Any, ClassVar

from exhausters.engine.acceptance import Acceptance
from exhausters.engine.api import Submission
from exhausters.workloads import EmittedText

# Outputs beyond a request's last one that are drafted nevertheless: more than any round has.
_BEYOND = 64


class DraftScript:
    """Knows the text of each request that was submitted, and which drafts of it are to be right.

    Attributes:
        current: that of this process's scheduler, for what SGLang itself makes: draft model and corpus.
    """

    current: ClassVar[DraftScript | None] = None

    def __init__(self, scheduler: Any, acceptance: Acceptance, text: EmittedText) -> None:
        """Follow `acceptance` for the requests of `scheduler`, whose model emits `text`."""
        self._scheduler = scheduler
        self._acceptance = acceptance
        self._text = text
        # Prompt tokens and outputs, by request id.
        self._known: dict[str, tuple[int, array[int]]] = {}
        self._drafts = 0
        # The batch that is about to run, in the engine's own form.
        self.batch: Any = None

    def note(self, submission: Submission) -> None:
        """Know the text of a request that is being submitted."""
        outputs = self._text.after(submission.input_ids, submission.max_new_tokens + _BEYOND)
        self._known[submission.rid] = (len(submission.input_ids), outputs)

    def forget(self) -> None:
        """Forget all requests."""
        self._known.clear()
        self.batch = None

    def proposal(self, rid: str, length: int, draft: int) -> tuple[int, int]:
        """Return what a draft proposes, and what would be right.

        Args:
            rid: the request.
            length: tokens before the round's newest one.
            draft: which draft of the round it is, from 1.
        """
        prompt, outputs = self._known.get(rid, (length, array("q")))
        place = length - prompt
        output = place + draft
        if not 0 <= output < len(outputs):  # a chunk of a prompt, of which no draft is ever verified
            return 0, 1
        right = outputs[output]
        is_right = draft <= self._acceptance.right_drafts(rid, place, self._drafts_of_a_round())
        return (right, right) if is_right else (_another(right), right)

    def chain(self, rid: str, length: int, drafts: int) -> list[int]:
        """Return what `drafts` drafts in a row propose."""
        return [self.proposal(rid, length, draft)[0] for draft in range(1, drafts + 1)]

    def _drafts_of_a_round(self) -> int:
        """Drafts that can be accepted in one round: with a tree, as many as it is deep."""
        if not self._drafts:
            worker = self._scheduler.draft_worker
            verified = int(worker.speculative_num_draft_tokens) - 1
            deep = 0 if self._scheduler.spec_algorithm.is_ngram() else int(worker.speculative_num_steps)
            self._drafts = min(deep, verified) if deep else verified
        return self._drafts


def _another(token: int) -> int:
    """A token that is not this one; of the vocabulary, since no model emits 0."""
    return token - 1 if token else 1


class NullCorpus:
    """Stands for SGLang's corpus of n-grams: learns nothing, and proposes what the script says."""

    def __init__(self, *_arguments: Any, draft_token_num: int, **_keywords: Any) -> None:
        self._width = draft_token_num
        # Each node of a chain sees itself and those before it.
        self._mask = [int(seen <= node) for node in range(draft_token_num) for seen in range(draft_token_num)]

    def batch_get(self, req_ids: list[str], batch_tokens: list[list[int]], total_lens: list[int]) -> Any:
        """Return the tokens of a chain for each request, its newest one first, and what each of them sees.

        Args:
            req_ids: the requests.
            batch_tokens: the newest tokens of each, the newest last.
            total_lens: tokens of each in all, as SGLang reckons. Not relied on: in the overlap loop of 0.5.23
                the newest ones are in it twice when another batch ran in between.

        Returns:
            two arrays of int64: tokens, (requests * width,); mask, (requests * width * width,).
        """
        import torch

        script = DraftScript.current
        assert script is not None, "a script is there from boot on"
        tokens: list[int] = []
        lengths = script.batch.seq_lens.tolist()
        for rid, newest, length in zip(req_ids, batch_tokens, lengths, strict=True):
            tokens += [newest[-1], *script.chain(rid, length, self._width - 1)]
        mask = torch.tensor(self._mask * len(req_ids), dtype=torch.int64)
        return torch.tensor(tokens, dtype=torch.int64).numpy(), mask.numpy()

    def batch_put(self, batch_tokens: Any) -> None:
        """Learn nothing."""

    def synchronize(self) -> None:
        """Nothing is under way."""

    def reset(self) -> None:
        """Nothing was learned."""

    def erase_match_state(self, req_ids: Any) -> None:
        """Nothing is kept for a request."""
