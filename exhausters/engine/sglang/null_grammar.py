"""Grammars that allow every token, and that are compiled when so many steps have passed.

They stand where SGLang's grammar backend would be: a scheduler without a tokenizer has none. All else is
SGLang's: the queue in which a request waits for its grammar, polls of it, time-outs, masks, and what a
grammar in a batch forbids to the overlap loop.

The module imports sglang, so it is imported when a request with a grammar comes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import torch
from sglang.srt.constrained.base_grammar_backend import BaseGrammarBackend, BaseGrammarObject

from exhausters.engine.wrap import wrap_calls

# What the text of a null grammar begins with: the steps after which it is compiled, and a name.
_POLL = "get_ready_grammar_requests"


def grammar_text(steps: int, name: str) -> str:
    """The text of a grammar, in the form of a regular expression that nobody compiles."""
    return f"{steps};{name}"


class NullGrammar(BaseGrammarObject):  # type: ignore[misc]
    """Allows every token, at every place, for ever."""

    def accept_token(self, token: int) -> None:
        """Nothing to note."""

    def rollback(self, k: int) -> None:
        """Nothing to take back."""

    def allocate_vocab_mask(self, vocab_size: int, batch_size: int, device: Any) -> torch.Tensor:
        """A mask with a row for each request, shape (requests, 1)."""
        return torch.zeros((batch_size, 1), dtype=torch.int32)

    def fill_vocab_mask(self, vocab_mask: torch.Tensor, idx: int) -> None:
        """Nothing is forbidden."""

    @staticmethod
    def move_vocab_mask(vocab_mask: torch.Tensor, device: Any) -> torch.Tensor:
        """It is where it is needed."""
        return vocab_mask

    @staticmethod
    def reset_vocab_mask(vocab_mask: torch.Tensor) -> None:
        """Nothing was forbidden."""

    @staticmethod
    def apply_vocab_mask(logits: torch.Tensor, vocab_mask: torch.Tensor) -> None:
        """Nothing is forbidden."""

    def copy(self) -> NullGrammar:
        """A grammar for another request."""
        return NullGrammar()


class NullGrammarBackend(BaseGrammarBackend):  # type: ignore[misc]
    """Compiles nothing, and takes steps for it: a step is a poll of the grammar queue."""

    def __init__(self) -> None:
        super().__init__()
        self._polls = 0
        self._compiling: list[tuple[int, Future[NullGrammar]]] = []

    def get_cached_or_future_value(self, key: tuple[str, str], require_reasoning: bool = False) -> Any:
        """Return a grammar that is known, and True; else what will have it, and False."""
        known = self.cache.get(key)
        if known is not None:
            return known.copy(), True
        steps = int(key[1].partition(";")[0])
        future: Future[NullGrammar] = Future()
        self._compiling.append((self._polls + steps + 1, future))
        return future, False

    def on_poll(self) -> None:
        """The scheduler is about to look at the queue: what is due is compiled."""
        self._polls += 1
        due = [future for poll, future in self._compiling if poll <= self._polls]
        self._compiling = [one for one in self._compiling if one[0] > self._polls]
        for future in due:
            if not future.cancelled():
                future.set_result(NullGrammar())


def install(manager: Any) -> Callable[[], None]:
    """Give a grammar manager the null backend; returns what takes it away again.

    Raises:
        SeamError: the manager has no poll of its queue.
    """
    before = manager.grammar_backend
    backend = NullGrammarBackend()
    unwrap = wrap_calls(manager, _POLL, lambda _result, _first: None, lambda _first: backend.on_poll())
    manager.grammar_backend = backend

    def take_away() -> None:
        unwrap()
        manager.grammar_backend = before

    return take_away
