"""What a script sees as in SGLang's own runtime: batches, and what has just finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exhausters.engine.api import DECODE, MIXED, PREFILL, BatchView
from exhausters.engine.sglang.requests import SGLangRequest
from exhausters.scripted.as_sglang import FinishedRequests, ShownHook


@dataclass
class _Request:
    rid: str
    is_finished: bool = False


def _ran(finished: FinishedRequests, request: Any, *, chunked: str | None = None) -> None:
    batch = BatchView(mode=PREFILL, rids=(request.rid,), chunked_rid=chunked)
    finished.on_run_batch(batch, [request])


def test_a_finished_request_is_shown_for_one_step() -> None:
    """What ends in an iteration is found in the step after it, and in no later one."""
    finished, request = FinishedRequests(), _Request("a")
    _ran(finished, request)
    finished.on_step()
    assert finished.find("a") is None
    request.is_finished = True
    finished.on_step()
    assert finished.find("a") is request
    finished.on_step()
    assert finished.find("a") is None


def test_an_abort_between_chunks_shows_nothing() -> None:
    """A request that ends while it is the chunked one was in no last batch, and is not shown."""
    finished, request = FinishedRequests(), _Request("a")
    _ran(finished, request, chunked="a")
    request.is_finished = True
    finished.on_step()
    assert finished.find("a") is None


def test_batches_have_the_names_of_sglang() -> None:
    """The log names modes as SGLang does, and prompt tokens are computed in extend and mixed batches."""
    hook = ShownHook()
    for mode in (PREFILL, MIXED, DECODE):
        hook.on_run_batch(BatchView(mode=mode, rids=("a",)))
    log = hook._batch_log
    assert [(one.forward_iter, one.mode) for one in log] == [(1, "extend"), (2, "mixed"), (3, "decode")]
    assert [one.extend_rids for one in log] == [("a",), ("a",), ()]


def _native(**attributes: Any) -> Any:
    return type("Native", (), attributes)()


def test_committed_tokens_are_found_in_every_form() -> None:
    """The count is in the request, in its container, or beside one, with or without the container."""
    forms = (
        _native(kv_committed_len=7),
        _native(kv=_native(kv_committed_len=7)),
        _native(kv=_native(kv_allocated_len=9), kv_committed_len=7),
        _native(kv=None, kv_committed_len=7),
    )
    assert [SGLangRequest(form).kv_committed_tokens for form in forms] == [7, 7, 7, 7]
    assert SGLangRequest(_native(kv=None)).kv_committed_tokens == 0
