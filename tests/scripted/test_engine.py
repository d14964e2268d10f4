from __future__ import annotations

from collections.abc import Iterator

import pytest

from exhausters.worker.host import Host
from tests.conftest import Hosts
from tests.scripted import scripts_engine as scripts
from tests.scripted import scripts_leaks
from tests.scripted.engines import ENGINES, MAIN, NO_CACHE_EOS, PYTHON_CORE

pytestmark = pytest.mark.real

ALL = tuple(ENGINES)
CACHED = ("main", "python-core")


@pytest.fixture
def host(request: pytest.FixtureRequest, hosts: Hosts) -> Iterator[Host]:
    """The engine named by the parameter; the test fails when it leaves anything behind in it."""
    booted = hosts.get(ENGINES[request.param])
    yield booted
    booted.run(scripts_leaks.expect_clean)


def test_engines_are_what_the_settings_say(hosts: Hosts) -> None:
    """The engines below differ in what they are there to cover."""
    main, python, bare = (hosts.get(one).facts for one in (MAIN, PYTHON_CORE, NO_CACHE_EOS))
    assert [one["page_size"] for one in (main, python, bare)] == [16, 1, 64]
    assert [one["overlap"] for one in (main, python, bare)] == [True, False, True]
    assert "Rust" in main["tree_core"]
    assert "Rust" not in python["tree_core"]
    assert "Radix" in python["tree_cache"]
    cached = [hosts.get(one).run(scripts.has_radix_cache) for one in (MAIN, PYTHON_CORE, NO_CACHE_EOS)]
    assert cached == [True, True, False]


@pytest.mark.parametrize("host", ALL, indirect=True)
def test_exhaust_again(host: Host) -> None:
    """A higher level later gives nothing back, a lower one takes the difference; all comes back once."""
    total = host.facts["max_total_tokens"] // host.facts["page_size"]
    assert host.run(scripts.exhaust_twice) == [total, 40, 40, 20, total]


@pytest.mark.parametrize("host", ALL, indirect=True)
def test_held_level_is_restored(host: Host) -> None:
    """What a request gives back while a level is held is taken again."""
    assert host.run(scripts.hold) == [1, 1]


@pytest.mark.parametrize("host", ALL, indirect=True)
def test_long_prompt_in_a_tight_pool(host: Host) -> None:
    """A long prompt is prefilled in chunks of the budget under a tight pool, and finishes."""
    budget = host.settings.engine["chunked_prefill_size"]
    prompt_len = 4 * budget
    found = host.run(scripts.long_prompt_in_a_tight_pool, prompt_len)
    assert found["chunks"] >= 4
    assert found["was_chunking"]
    assert found["left"] == 0


@pytest.mark.parametrize("host", ALL, indirect=True)
def test_wait_for_pages(host: Host) -> None:
    """A request waits, holding nothing, while pages are withheld, and runs after the release."""
    assert tuple(host.run(scripts.wait_for_pages)) == ("waiting", 0)


@pytest.mark.parametrize("host", ALL, indirect=True)
def test_wait_for_a_row(host: Host) -> None:
    """A request waits while rows are withheld, and runs after the release."""
    assert host.run(scripts.wait_for_a_row) == "waiting"


@pytest.mark.parametrize("host", CACHED, indirect=True)
def test_pinned_prefix_survives_evictions(host: Host) -> None:
    """After the pool was filled twice over a pinned prefix is still cached, and an unpinned one is not."""
    assert host.run(scripts.resend_after_a_flood, False) == 0
    assert host.run(scripts.resend_after_a_flood, True) >= 128 - host.facts["page_size"]


@pytest.mark.parametrize("host", ALL, indirect=True)
@pytest.mark.parametrize(("mode", "holds_pages"), [("retract", False), ("in_place", True)])
def test_pause(host: Host, mode: str, holds_pages: bool) -> None:
    """A paused engine stands still, gives KV back or keeps it as asked, and goes on to the last token."""
    paused, tokens = host.run(scripts.pause_and_continue, mode)
    assert paused["stood_still"]
    assert paused["holds_pages"] is holds_pages
    assert tokens == 12


@pytest.mark.parametrize("host", ALL, indirect=True)
@pytest.mark.parametrize("mode", ["retract", "in_place"])
def test_next_script_starts_clean(host: Host, mode: str) -> None:
    """A script that ends on a paused engine, in work and under pressure, leaves nothing to the next."""
    host.run(scripts.end_paused, mode)
    host.run(scripts_leaks.expect_clean)


@pytest.mark.parametrize("host", ALL, indirect=True)
def test_abort_one(host: Host) -> None:
    """Abort ends that request and no other."""
    first, aborted, last = host.run(scripts.abort_one)
    assert (first, last) == (20, 20)
    assert 2 <= aborted < 20


@pytest.mark.parametrize("host", ALL, indirect=True)
def test_abort_all(host: Host) -> None:
    """Abort of all ends running and waiting requests."""
    before, active = host.run(scripts.abort_everything)
    assert before == ["running", "waiting"]
    assert active == 0


@pytest.mark.parametrize("host", CACHED, indirect=True)
@pytest.mark.parametrize("how", ["evict_radix", "flush_cache"])
def test_evict_everything(host: Host, how: str) -> None:
    """Both ways of emptying the tree leave no node."""
    before, after = host.run(scripts.evict, how)
    assert before >= 1
    assert after == 0


@pytest.mark.parametrize("host", ["main"], indirect=True)
def test_priority(host: Host) -> None:
    """With priority scheduling the higher value goes first."""
    assert host.run(scripts.finish_by_priority) == [9, 5, 1]


@pytest.mark.parametrize(("host", "is_mixed"), [("main", False), ("python-core", True)], indirect=["host"])
def test_mixed_chunk(host: Host, is_mixed: bool) -> None:
    """Decoding requests ride in prefill batches where that was asked for, and only there."""
    assert ("MIXED" in host.run(scripts.modes_while_chunking)) is is_mixed


@pytest.mark.parametrize("host", ["no-cache-eos"], indirect=True)
def test_end_of_text(host: Host) -> None:
    """A model that emits the end of text stops after one token, unless the request ignores it."""
    asked = {"max_new_tokens": 9}
    found = host.run(scripts.output_lengths, {**asked}, {**asked, "ignore_eos": True})
    assert found == [1, 9]


@pytest.mark.parametrize("host", ["main"], indirect=True)
def test_stop_tokens(host: Host) -> None:
    """A stop token ends a request as soon as it is emitted; any other token does not."""
    emitted, asked = host.settings.emitted_token, {"max_new_tokens": 9}
    found = host.run(
        scripts.output_lengths,
        {**asked, "stop_token_ids": [emitted]},
        {**asked, "stop_token_ids": [emitted + 1]},
        {**asked, "temperature": 0.0},
    )
    assert found == [1, 9, 9]


@pytest.mark.parametrize("host", ["main", "python-core"], indirect=True)
def test_log_probabilities(host: Host) -> None:
    """A request with log-probabilities gets one for each emitted token, and as many alternatives as asked."""
    count, tops, tokens = host.run(scripts.log_probabilities)
    assert (count, tokens) == (4, 4)
    assert list(tops) == [3, 3, 3, 3]
