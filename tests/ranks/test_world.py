"""Which ranks a set of keywords asks for, and what is refused at once."""

from __future__ import annotations

from typing import Any

import pytest

from exhausters.engine.api import World
from exhausters.engine.sglang.world import world_of
from exhausters.errors import UnsupportedSettingError


@pytest.mark.parametrize(
    ("keywords", "sizes"),
    [
        ({}, (1, 1, 1)),
        ({"tp_size": 1, "pp_size": None, "dp_size": 1}, (1, 1, 1)),
        ({"tp_size": 2}, (2, 1, 1)),
        ({"pp_size": 2}, (1, 2, 1)),
        ({"tp_size": 2, "dp_size": 2, "enable_dp_attention": True}, (2, 1, 2)),
        ({"tp_size": 2, "attn_dp_size": 2}, (2, 1, 2)),
        ({"tp_size": 2, "enable_dp_attention": True}, (2, 1, 1)),
    ],
)
def test_the_ranks_of_an_engine(keywords: dict[str, Any], sizes: tuple[int, int, int]) -> None:
    """Tensor ranks times stages are processes; groups of attention divide the tensor ranks."""
    world = world_of(keywords)
    assert (world.tp_size, world.pp_size, world.dp_size) == sizes
    assert (world.port > 0) == (world.size > 1)


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"tp_size": 4}, "tp_size=4: 4 ranks; expected at most 2"),
        ({"tp_size": 2, "pp_size": 2}, "tp_size=2, pp_size=2: 4 ranks; expected at most 2"),
        ({"tp_size": 0}, "tp_size=0: expected an integer >= 1"),
        ({"tp_size": True}, "tp_size=True: expected an integer >= 1"),
        ({"dp_size": 2}, "dp_size=2: replicas without enable_dp_attention share nothing"),
        ({"dp_size": 2, "enable_dp_attention": True}, "dp_size=2: expected tp_size, which is 1"),
    ],
)
def test_what_cannot_be_run_is_refused(keywords: dict[str, Any], said: str) -> None:
    """A refusal names the keyword, what was expected, and why."""
    with pytest.raises(UnsupportedSettingError, match=f"^{said}"):
        world_of(keywords)


def test_places() -> None:
    """Ranks of one stage follow each other; a group of attention is a part of them."""
    world = World(tp_size=4, pp_size=2, dp_size=2)
    assert world.size == 8
    assert [(one.tp_rank, one.pp_rank, one.dp_rank) for one in map(world.place, range(8))] == [
        (0, 0, 0),
        (1, 0, 0),
        (2, 0, 1),
        (3, 0, 1),
        (0, 1, 0),
        (1, 1, 0),
        (2, 1, 1),
        (3, 1, 1),
    ]
