"""What of a request reaches the engine, and what is refused before."""

from __future__ import annotations

from typing import Any, cast

import pytest

from exhausters.engine.api import Submission, Transfers
from exhausters.errors import UnsupportedSettingError
from exhausters.scripted.context import ScriptedContext
from exhausters.workloads import Request, Segment, Session
from tests.fakes.fake_engine import ScriptRunner


def submits(t: ScriptedContext, *requests: Request) -> None:
    """Send the requests."""
    for one in requests:
        t.submit_request(one)


def starts(t: ScriptedContext, **keywords: Any) -> None:
    """Send one request as SGLang's own scripts do."""
    t.start_req(prompt_len=4, rid="a", **keywords)


def starts_greedily(t: ScriptedContext) -> None:
    """The same with what ends it and how it is decoded."""
    starts(t, max_new_tokens=2, stop_token_ids=[7], temperature=0.0)


def asks_for_transfers(t: ScriptedContext) -> str:
    """The role that its transfers have."""
    return t.transfers.role


def fills_and_evicts(t: ScriptedContext) -> Any:
    """Tokens in the tree before and after all of it is evicted."""
    t.start_req(prompt_len=40, max_new_tokens=1)
    while not t.is_fully_idle or t.has_unreceived:
        yield
    before = t.engine.tree.evictable_tokens()
    t.evict_radix(prefix_tokens=None)
    yield
    return before, t.engine.tree.evictable_tokens()


@pytest.fixture(name="runner")
def _runner() -> ScriptRunner:
    return ScriptRunner()


@pytest.fixture(name="sent")
def _sent(runner: ScriptRunner, monkeypatch: pytest.MonkeyPatch) -> list[Submission]:
    """What the engine is sent, which it does not run."""
    sent: list[Submission] = []
    monkeypatch.setattr(runner.engine, "submit", sent.append)
    return sent


def _request(rid: str, **more: Any) -> Request:
    prompt = (Segment(seed=7, length=8),)
    return Request(rid=rid, arrival_seconds=0.0, prompt=prompt, max_new_tokens=3, **more)


def test_sampling_is_what_was_asked_for(runner: ScriptRunner, sent: list[Submission]) -> None:
    """Only keywords that a script gives are sent: the engine's own defaults count for the others."""
    runner.run(starts)
    runner.run(starts_greedily)
    assert set(sent[0].sampling) == {"max_new_tokens", "ignore_eos"}
    assert sent[1].sampling == {
        "max_new_tokens": 2,
        "ignore_eos": sent[0].sampling["ignore_eos"],
        "stop_token_ids": [7],
        "temperature": 0.0,
    }


def test_a_penalty_is_sent_where_there_is_one(runner: ScriptRunner, sent: list[Submission]) -> None:
    """A request without a penalty must not make SGLang compute penalties."""
    runner.run(submits, _request("a", frequency_penalty=0.5), _request("b"))
    assert sent[0].sampling["frequency_penalty"] == 0.5
    assert "frequency_penalty" not in sent[1].sampling


def test_a_session_is_opened_by_its_first_turn(
    runner: ScriptRunner, sent: list[Submission], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a later turn only what is new is sent, and the session is not opened again."""
    opened: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        runner.engine, "open_session", lambda name, *, is_streaming: opened.append((name, is_streaming))
    )
    first, later = (Session(name="s", streams=True, has_tokens=count) for count in (0, 5))
    runner.run(submits, _request("a", session=first), _request("b", session=later, after="a"))
    assert opened == [("s", True)]
    assert [len(one.input_ids) for one in sent] == [8, 3]
    assert [(one.session_id, one.session_rid) for one in sent] == [("s", None), ("s", "a")]


def test_an_adapter_needs_an_engine_with_adapters(
    runner: ScriptRunner, sent: list[Submission], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that names an adapter is refused by an engine without, and sent to one that has slots."""
    with pytest.raises(UnsupportedSettingError, match="request 'a' names the adapter 'x'"):
        runner.run(submits, _request("a", adapter="x"))
    assert sent == []
    monkeypatch.setattr(runner.engine, "adapter_slots", object())
    runner.run(submits, _request("a", adapter="x"))
    assert sent[0].lora_path == "x"


def test_transfers_need_an_engine_of_a_pair(runner: ScriptRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that drives transfers is refused on an engine that runs alone, with what to boot instead."""
    with pytest.raises(UnsupportedSettingError, match="no part of a disaggregated pair"):
        runner.run(asks_for_transfers)

    class _Prefill:
        role = "prefill"

    monkeypatch.setattr(runner.engine, "transfers", cast(Transfers, _Prefill()))
    assert runner.run(asks_for_transfers, reset=False) == "prefill"


def test_all_of_the_tree_can_be_evicted(runner: ScriptRunner) -> None:
    """`prefix_tokens=None` leaves nothing in the tree of an idle engine."""
    assert runner.run(fills_and_evicts) == (32, 0)
