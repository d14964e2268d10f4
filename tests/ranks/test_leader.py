"""What the first rank promises of the others, with the ends of their links in the hands of the test."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from queue import SimpleQueue
from typing import Any

import pytest

from exhausters.engine.api import Submission, World
from exhausters.errors import ExhaustersError, LevelError, PressureError, RankFailedError
from exhausters.observe.forward_time import ConstantForwardTime
from exhausters.observe.other_ranks import RankStep
from exhausters.observe.step_record import DECODE, StepRecord
from exhausters.ranks import leader
from exhausters.ranks.leader import Followers
from exhausters.ranks.messages import Act, End, Go, RankFailed, RankState, Started, StepReport
from exhausters.ranks.processes import RankProcess
from exhausters.worker.protocol import ScriptRef
from tests.ranks.scripts import take_a_page

_TENSOR, _STAGES = World(tp_size=2), World(pp_size=2)
_STATE = RankState(
    is_idle=True,
    is_fully_idle=True,
    is_drained=True,
    is_marked_full=False,
    waiting_rids=("w",),
    running_rids=(),
    output_limits={"w": 3},
)


class _Rank:
    """The other end of one rank's link; it ends when the test says so."""

    def __init__(self, world: World, rank: int = 1) -> None:
        ours, self.link = Pipe()
        handle, self._alive = os.pipe()
        # Of no child: asked how it ended, the system knows nothing, and it has just ended.
        self.process = RankProcess(place=world.place(rank), pid=os.getpid(), handle=handle, link=ours)
        self._is_over = False

    def heard(self) -> Any:
        """The next message that it was sent."""
        assert self.link.poll(10.0), "the rank was told nothing"
        return self.link.recv()

    def end(self) -> None:
        """End its process, and with it its link."""
        if not self._is_over:
            self._is_over = True
            self.link.close()
            os.close(self._alive)

    def close(self) -> None:
        """Leave no file open."""
        self.end()
        self.process.link.close()
        os.close(self.process.handle)


_MakeRanks = Callable[..., tuple[Followers, list[_Rank]]]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[_MakeRanks]:
    """Makes the leader of a world and its other ranks; nothing waits for long."""
    monkeypatch.setattr(leader, "_EXPLAIN_SECONDS", 0.0)
    monkeypatch.setattr(leader, "_NOTICE_SECONDS", 0.0)
    made: list[_Rank] = []

    def ranks_of(world: World = _TENSOR) -> tuple[Followers, list[_Rank]]:
        ranks = [_Rank(world, rank) for rank in range(1, world.size)]
        made.extend(ranks)
        return Followers(world, [one.process for one in ranks]), ranks

    yield ranks_of
    for one in made:
        one.close()


def _step(step: int, **more: Any) -> RankStep:
    return RankStep(record=StepRecord(step=step, mode=DECODE, **more))


def test_all_are_told_in_the_order_of_the_calls(make: _MakeRanks) -> None:
    """Every rank hears every act, then that it may begin, at the first rank's modelled time, then its end."""
    followers, ranks = make(World(tp_size=3))
    followers.tell("exhaust", {"leave_pages": 2})
    followers.go(700)
    followers.end()
    for rank in ranks:
        told = [rank.heard() for _ in range(3)]
        assert told == [Act("exhaust", ({"leave_pages": 2},)), Go(700), End()]
    assert (followers.size, followers.is_alike, len(followers.pids)) == (3, True, 2)


def test_a_request_of_one_rank_is_sent_to_it_alone(make: _MakeRanks) -> None:
    """The rank that a request names receives it, and until the step has ended it counts as unreceived."""
    followers, (first, second) = make(World(tp_size=3, dp_size=3))
    submission = Submission(rid="a", input_ids=array("q", [1, 2]), sampling={"max_new_tokens": 1})
    followers.submit(2, submission)
    assert (followers.rank_of, followers.unreceived) == ({"a": 2}, 1)
    assert second.heard() == Act("submit", (submission,))
    assert not first.link.poll()
    for rank in (first, second):
        rank.link.send(StepReport(state=_STATE))
    followers.gather()
    assert followers.unreceived == 0
    assert followers.states == {1: _STATE, 2: _STATE}
    assert not followers.is_alike


@pytest.mark.parametrize("function", [take_a_page, ScriptRef(module="m", qualname="f")])
def test_a_function_travels_by_its_name(make: _MakeRanks, function: Any) -> None:
    """A function to be called in another rank is sent as a reference that it can import."""
    followers, (rank,) = make()
    followers.call(1, function, 4)
    told = rank.heard()
    assert told.name == "call"
    reference, arguments = told.arguments
    assert isinstance(reference, ScriptRef)
    assert reference.qualname in ("take_a_page", "f")
    assert arguments == (4,)


def test_every_rank_must_come_up(make: _MakeRanks) -> None:
    """The first rank goes on when all have started; a rank that says something else first is named."""
    followers, (rank,) = make()
    rank.link.send(Started())
    followers.await_started()
    rank.link.send(StepReport())
    with pytest.raises(RankFailedError, match=r"^rank 1: StepReport before its start$"):
        followers.await_started()


def test_steps_are_taken_once_and_those_of_an_earlier_recording_never(make: _MakeRanks) -> None:
    """A report that was under way when a recording began belongs to the one before, and is left out."""
    followers, (rank,) = make()
    followers.start_recording(ConstantForwardTime())
    assert rank.heard().arguments == (1, ConstantForwardTime())
    for report in (StepReport(step=_step(9), recording=0), StepReport(step=_step(0), recording=1)):
        rank.link.send(report)
        followers.gather()
    rank.link.send(StepReport())  # nothing is recorded
    followers.gather()
    assert followers.steps() == {1: (_step(0),)}
    assert followers.steps() == {1: ()}
    rank.link.send(StepReport(step=_step(1), recording=1))
    followers.gather()
    followers.start_recording(ConstantForwardTime())
    assert followers.steps() == {1: ()}


def test_a_recording_ends_once(make: _MakeRanks) -> None:
    """Each end of a recording is told once, and does not fail because a rank has ended."""
    followers, (rank,) = make()
    followers.stop_recording()
    assert not rank.link.poll()
    followers.start_recording(ConstantForwardTime())
    followers.stop_recording()
    followers.stop_recording()
    assert [rank.heard().name, rank.heard().name] == ["start_recording", "stop_recording"]
    assert not rank.link.poll()
    followers.start_recording(ConstantForwardTime())
    rank.end()
    followers.stop_recording()


def test_the_last_stage_is_behind_by_its_lag(make: _MakeRanks) -> None:
    """The first step of a pipeline waits for no report: the stage after it ends that step one step later."""
    followers, (rank,) = make(_STAGES)
    followers.start_recording(ConstantForwardTime())
    followers.gather()
    assert followers.steps() == {1: ()}
    rank.link.send(StepReport(step=_step(0), recording=1))
    followers.gather()
    assert followers.steps() == {1: (_step(0),)}


def test_a_stage_that_is_behind_does_not_stop_the_first(make: _MakeRanks) -> None:
    """A later stage that hears nothing, because it waits for the first, gets all of it later, in order."""
    followers, (rank,) = make(_STAGES)
    large = "x" * 100_000  # more than the link holds
    for number in range(20):
        followers.tell(f"act{number}", large)
    assert [rank.heard().name for _ in range(20)] == [f"act{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("error", "kind"),
    [(LevelError("leave_rows=-1"), ExhaustersError), (PressureError("short"), PressureError)],
)
def test_what_a_rank_could_not_do_is_raised_here(
    make: _MakeRanks, error: Exception, kind: type[Exception]
) -> None:
    """An act that failed in another rank fails here, typed, with the rank; all reports are taken first."""
    followers, (first, second) = make(World(tp_size=3))
    first.link.send(StepReport(error=error))
    second.link.send(StepReport(state=_STATE))
    with pytest.raises(kind, match=f"^rank 1: {error}$") as caught:
        followers.gather()
    assert type(caught.value) is kind
    assert followers.states == {2: _STATE}


def test_a_rank_that_fails_is_named_with_its_own_words(make: _MakeRanks) -> None:
    """A rank that raised says why before it ends; that is what the run fails with, however often asked."""
    followers, (rank,) = make()
    text = "Traceback\n  somewhere\nKeyError: 'page'"
    rank.link.send(RankFailed(phase="loop", text=text))
    with pytest.raises(RankFailedError, match="rank 1 failed: Traceback"):
        followers.gather()
    told = followers.explain("RankFailedError: rank 1 failed")
    assert str(told).splitlines()[0] == "rank 1 failed: KeyError: 'page'"


def test_a_rank_that_ends_without_a_word_is_named(make: _MakeRanks) -> None:
    """A rank that is gone is named where it is heard and where it is told; ending it again is harmless."""
    followers, (rank,) = make()
    rank.end()
    with pytest.raises(RankFailedError, match=r"^rank 1 has ended$"):
        followers.gather()
    with pytest.raises(RankFailedError, match=r"^rank 1 has ended$"):
        followers.go(0)
    followers.end()
    assert str(followers.explain("Broken pipe")).startswith("rank 1 failed: its process ended: ended")


def test_a_failure_of_this_rank_is_its_own(make: _MakeRanks) -> None:
    """Only a loss of another rank is blamed on one: what this rank raised by itself stays its own."""
    followers, (rank,) = make()
    rank.link.send(RankFailed(phase="loop", text="ValueError: later"))
    assert followers.explain("IndexError: list index out of range") is None
    assert followers.explain("RuntimeError: [gloo] Connection closed by peer") is not None


def test_nobody_is_blamed_while_all_run_on(make: _MakeRanks) -> None:
    """A link that broke while every other rank runs is no failure of theirs; reports are passed over."""
    followers, (rank,) = make()
    rank.link.send(StepReport())
    assert followers.explain("gloo: connection reset by peer") is None


def test_the_rank_that_failed_first_is_to_blame(make: _MakeRanks) -> None:
    """Of two ranks that failed, the one that lost another is a victim, and the other one is named."""
    followers, (victim, guilty) = make(World(tp_size=3))
    victim.link.send(RankFailed(phase="loop", text="RuntimeError: gloo: closed by peer"))
    guilty.link.send(RankFailed(phase="boot", text=""))
    told = followers.explain("gloo")
    assert str(told).splitlines()[0] == "rank 2 failed: boot failed"


def test_a_victim_is_named_when_nobody_else_is(make: _MakeRanks) -> None:
    """Where every rank says that it lost another, the first that said so is better than nobody."""
    followers, (rank,) = make()
    rank.link.send(RankFailed(phase="loop", text="Broken pipe"))
    assert str(followers.explain("gloo")).splitlines()[0] == "rank 1 failed: Broken pipe"


def test_an_unreadable_last_word_counts_as_none(make: _MakeRanks) -> None:
    """A rank that was killed in the middle of a message is told by how its process ended."""
    followers, (rank,) = make()
    rank.link.send_bytes(b"\x80\x05")
    rank.end()
    assert str(followers.explain("")).splitlines()[0] == "rank 1 failed: its process ended: ended"


def _lost(followers: Followers) -> SimpleQueue[RankFailedError]:
    said: SimpleQueue[RankFailedError] = SimpleQueue()
    followers.watch(said.put)
    return said


def test_a_lost_rank_is_noticed_while_this_one_waits(make: _MakeRanks) -> None:
    """A rank that ends while the first waits for ever is reported by the watch, with the rank's name."""
    followers, (rank,) = make()
    said = _lost(followers)
    rank.link.send(RankFailed(phase="boot", text="MemoryError"))
    rank.end()
    assert str(said.get(timeout=10.0)).splitlines()[0] == "rank 1 failed: MemoryError"
    assert not followers.claim_report()


def test_a_failure_is_reported_once(make: _MakeRanks, monkeypatch: pytest.MonkeyPatch) -> None:
    """When this rank has begun to report its failure, the watch says nothing more."""
    followers, (rank,) = make()
    asked: SimpleQueue[bool] = SimpleQueue()
    claim = Followers.claim_report

    def claimed(self: Followers) -> bool:
        is_first = claim(self)
        asked.put(is_first)
        return is_first

    monkeypatch.setattr(Followers, "claim_report", claimed)
    assert followers.claim_report()
    said = _lost(followers)
    rank.end()
    assert [asked.get(timeout=10.0), asked.get(timeout=10.0)] == [True, False]
    assert said.empty()
