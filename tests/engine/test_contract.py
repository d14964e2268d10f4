"""The same scripts on the fake engine and on the real one: the api means the same for both.

The fake side runs always; the real side has the marker `real`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from exhausters.engine.api import BootFacts
from exhausters.engine.api.records import DEFAULT_MAX_NEW_TOKENS
from exhausters.engine.settings import HostSettings
from exhausters.errors import UnsupportedSettingError
from exhausters.targets import NEWEST_RELEASE, prepare
from exhausters.worker.host import Host
from tests.engine import contract_scripts as scripts
from tests.fakes.fake_engine import ScriptRunner
from tests.fakes.fake_target import fake_target

_ENGINE = {
    "page_size": 16,
    "chunked_prefill_size": 256,
    "max_total_tokens": 4096,
    "max_running_requests": 64,
}


@pytest.fixture(scope="module", params=["fake", pytest.param("real", marks=pytest.mark.real)], name="engine")
def _engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Something with `run(script, *args)`: the fake, or a host of the newest release."""
    if request.param == "fake":
        yield ScriptRunner(**_ENGINE)
        return
    settings = HostSettings(engine={**_ENGINE, "disable_overlap_schedule": True})
    with Host(prepare(f"release:{NEWEST_RELEASE}"), settings) as host:
        yield host


def test_received_in_the_iteration_that_follows(engine: Any) -> None:
    """A request is received, admitted and prefilled in the step after `start_req`, and ends as finished."""
    seen = engine.run(scripts.reception)
    assert seen == {
        "statuses": ["unknown", "running", "running", "finished", "finished", "finished"],
        "finished": True,
    }


def test_waits_while_no_row_is_free(engine: Any) -> None:
    """Statuses go from waiting to running to finished; a withheld row makes the second request wait."""
    assert engine.run(scripts.waits_for_a_row) == [
        ("running", "waiting"),
        ("finished", "running"),
        ("finished", "finished"),
    ]


def test_three_and_a_half_chunks(engine: Any) -> None:
    """896 tokens at 256 a chunk are four chunks, one a step, the last of which ends the chunking."""
    seen = engine.run(scripts.chunks)
    assert [(done, chunking) for done, chunking, _ in seen] == [(1, True), (2, True), (3, True), (4, False)]
    assert [left for _, _, left in seen] == [640, 384, 128, 0]


def test_one_piece_has_no_chunks(engine: Any) -> None:
    """A prompt that fits the chunk budget was not prefilled in chunks."""
    assert engine.run(scripts.prefilled_in_one_piece) == 0


def test_tokens_and_rows_come_back(engine: Any) -> None:
    """A request takes whole pages and one row; the row is back when it ends, all tokens after a flush."""
    seen = engine.run(scripts.conservation)
    free = [stats["kv_pool_free"] for stats in seen["stats"]]
    rows = [stats["req_pool_free"] for stats in seen["stats"]]
    assert seen["pages"] == 7
    assert free[0] == free[3] == 4096
    assert free[1] == 4096 - 7 * 16
    assert free[2] == 4096 - 6 * 16  # 103 tokens are six whole pages, cached, and a rest
    assert rows == [64, 63, 64, 64]


def test_equal_prompt_hits_whole_pages(engine: Any) -> None:
    """The second of two equal prompts of 100 tokens finds its six whole pages in the tree."""
    assert engine.run(scripts.prefix_hit) == [0, 96]


def test_withheld_pages(engine: Any) -> None:
    """`exhaust_kv` leaves exactly what was asked; a prompt that is larger waits until the release."""
    seen = engine.run(scripts.withheld_pages)
    assert seen == {
        "free": 3 * 16,
        "held_and_free": 4096,
        "withheld": ["waiting"] * 5,
        "released": "running",
        "after": 4096,
    }


def test_one_output_token_a_step(engine: Any) -> None:
    """The prefill emits the first output token and each decode one more."""
    assert engine.run(scripts.output_tokens) == {"lengths": [1, 2, 3, 4, 5], "steps": 6}


def test_roles(engine: Any) -> None:
    """A request is `prefill` in its prefill, then `decode` and `running`; a partial one is `chunked`."""
    prefill, decode, beside = engine.run(scripts.roles)
    assert prefill[0]["prefill"] == ["runner"]
    assert prefill[1] == "EXTEND"
    assert decode[0]["decode"] == decode[0]["running"] == ["runner"]
    assert decode[1] == "DECODE"
    assert beside[0]["chunked"] == ["chunked"]
    assert beside[0]["running"] == ["runner"]
    assert beside[0]["prefill"] == []
    assert beside[1] == "EXTEND"


def test_abort_of_a_running_request(engine: Any) -> None:
    """It ends after one more forward, and nothing is left."""
    assert engine.run(scripts.abort_running) == {"status": "finished", "idle": True}


def test_abort_of_a_waiting_request(engine: Any) -> None:
    """It leaves the queue in the step in which the abort is received, and never runs."""
    assert engine.run(scripts.abort_waiting) == {"before": "waiting", "waiting": 0, "has_run": 0}


@pytest.mark.parametrize(
    ("mode", "paused"), [("in_place", ("running", 4, 2)), ("retract", ("waiting", 4, 0))]
)
def test_pause(engine: Any, mode: str, paused: tuple[str, int, int]) -> None:
    """A paused engine runs nothing; `retract` gives the KV back, `in_place` keeps it; both go on."""
    seen = engine.run(scripts.pause, mode)
    assert seen["paused"] == seen["still"] == paused
    assert seen["resumed"] == ("running", 6, 2)


def test_demand(engine: Any) -> None:
    """What waits and needs most, its prompt in whole pages, and what runs reserve, a page each on top."""
    seen = engine.run(scripts.demand)
    assert (seen["idle"].waiting_rid, seen["idle"].waiting_tokens, seen["idle"].running) == ("", 0, 0)
    busy = seen["busy"]
    assert (busy.waiting_rid, busy.waiting_tokens) == ("long", 80 + 5 + 16)
    assert (busy.running, busy.reserved_tokens, busy.running_limit) == (1, 4 + 16, 64)
    # The first of the queue, which is not the largest, is a bound from below.
    assert 40 + 3 <= seen["least"] <= busy.waiting_tokens + busy.reserved_tokens
    assert seen["held back"] == ""


def test_cached_prefixes(engine: Any) -> None:
    """A running request's share of the tree is at least what is locked, and nothing is left when it ends."""
    seen = engine.run(scripts.prefixes)
    assert list(seen["kept"]) == ["again"]
    assert seen["kept"]["again"] >= seen["locked"] >= 48
    assert seen["has node"]
    assert seen["after"] == ({}, 0)
    assert seen["marked"] is False


def test_nothing_of_a_script_is_left_to_the_next(engine: Any) -> None:
    """Running, chunked and waiting requests, withheld pages, a pause: the next script finds none of them."""
    engine.run(scripts.left_behind)
    assert engine.run(scripts.clean_start) == {
        "idle": True,
        "paused": False,
        "held": 0,
        "cached": 0,
        "stats": {"kv_pool_free": 4096, "req_pool_free": 64, "req_pool_total": 64, "page_size": 16},
    }


def test_outgrown_pages_retract_and_still_finish(engine: Any) -> None:
    """Two requests that together outgrow the pages left are retracted in turn, and both emit everything."""
    seen = engine.run(scripts.retraction)
    assert seen["retracted"] >= 1
    assert seen["finished"] == [True, True]
    assert seen["outputs"] == {"first": 90, "second": 90}


def test_pools_give_all_or_nothing(engine: Any) -> None:
    """What is taken is missing until it is given back; a taking that cannot be served takes nothing."""
    seen = engine.run(scripts.pools_by_hand)
    assert seen["free"] == [(4096, 64), (4096 - 80, 61), (4096 - 80, 61), (4096, 64)]
    assert seen["page_size"] == 16
    assert seen["rows"] == 3
    assert seen["refused"] == [(4096, 0), (64, 0)]


@pytest.mark.parametrize("target", ["fake", pytest.param("real", marks=pytest.mark.real)])
def test_a_switch_that_it_lacks_is_refused(target: str) -> None:
    """A switch that an engine does not have fails its boot by name: it is never dropped."""
    made = fake_target() if target == "fake" else prepare(f"release:{NEWEST_RELEASE}")
    with pytest.raises(
        UnsupportedSettingError, match=r"server_args\.no_such_switch=1: .* has no such switch"
    ):
        Host(made, HostSettings(engine=_ENGINE, switches={"no_such_switch": 1}))


def test_a_request_without_a_length_has_sglangs(engine: Any) -> None:
    """Sampling keywords that say no `max_new_tokens` mean SGLang's default, on every engine."""
    assert engine.run(scripts.default_length) == DEFAULT_MAX_NEW_TOKENS


def test_every_fact_of_a_boot_is_reported(engine: Any) -> None:
    """Both engines fill every field of the record; none is left to chance or to a reader's default."""
    facts = engine.run(scripts.boot_facts)
    assert isinstance(facts, BootFacts)
    assert all(shown != "" for shown in facts.to_json().values())
    assert (facts.page_size, facts.max_total_tokens, facts.max_running_requests) == (16, 4096, 64)
    assert (facts.overlap, facts.policy) == (False, "fcfs")
    assert set(facts.to_json()) == {one.name for one in fields(BootFacts)} - {
        "window_pool_unchecked",
        "host_total_tokens",
        "mamba_total_slots",
        "mamba_slots_unchecked",
        "adapter_slots",
        "role",
    }


def test_what_is_held_over_a_flush_is_refused(engine: Any) -> None:
    """A flush hands out every page and row anew: giving held ones back would free them twice: an error."""
    assert engine.run(scripts.flushed_while_held) == ([True, True], 4096, 64)


def test_snapshots_add_up(engine: Any) -> None:
    """Every token is free, cached or in use, and what a running request uses cannot be evicted."""
    assert engine.run(scripts.snapshots) == [
        (4096, 0, 0, 0),
        (4096 - 112, 0, 112, 1),
        (4096 - 96, 96, 0, 0),
        (4096 - 112, 0, 112, 1),
        (4096 - 96, 96, 0, 0),
    ]


def test_tree_is_walked_and_pinned(engine: Any) -> None:
    """The walk gives parents first; a pin locks a node and its path, an unpin lets all of it go."""
    assert engine.run(scripts.tree_by_hand) == {
        "tokens": 32 + 2 * 32,
        "parents_first": True,
        "leaves": 2,
        "locked_path": True,
        "held": 1,
        "evictable": [96, 32, 96],
        "none": 0,
        "flushed": ([], 0, True),
    }


def test_watching(engine: Any) -> None:
    """Evictions and retractions are reported with their tokens while watched, and not afterwards."""
    seen = engine.run(scripts.watched)
    assert seen["freed"] >= 32
    assert seen["asked"]
    assert seen["window"] == {0}
    assert seen["retracted"] <= {"a", "b"}
    assert seen["own"]
    assert all(0 < tokens <= 64 + 90 for tokens in seen["own"])
    assert seen["aborted"] == 0
    assert seen["silent"]
    assert seen["unwrapped"]


def test_batches_are_told(engine: Any) -> None:
    """Mode, requests, tokens and prefixes of every batch, and the chunked request even where it waits."""
    decode = ("decode", ("runner",), (1,), (), 0)
    assert engine.run(scripts.batches)[:4] == [
        ("prefill", ("runner",), (20,), (0,), 0, None),
        (*decode, None),
        ("prefill", ("chunked",), (256,), (0,), 0, "chunked"),
        ("prefill", ("chunked",), (44,), (256,), 0, None),
    ]


def test_requests_are_told(engine: Any) -> None:
    """A request is found while a queue or batch holds it, with its lengths; then the engine is idle."""
    assert engine.run(scripts.request_view) == {
        "before": None,
        "seen": ("one", 40, 2, False, 41, True, ["one"], [], None, (False, False, False)),
        "allocated": True,
        "after": None,
        "idle": (True, True, True),
    }


def test_every_phase_is_a_method(engine: Any) -> None:
    """What is timed by phase, and matching, can be wrapped in every engine."""
    assert engine.run(scripts.phase_methods) == [
        "evict",
        "form_batch",
        "match",
        "process_result",
        "retract",
        "run",
    ]
