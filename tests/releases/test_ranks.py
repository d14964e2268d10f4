"""Two ranks on every supported release: all ways to have them come up, agree, and give the right text."""

from __future__ import annotations

from typing import Any

import pytest

from exhausters.engine.settings import HostSettings
from exhausters.targets import SUPPORTED_RELEASES, prepare
from exhausters.worker.host import Host
from tests.ranks import scripts

pytestmark = pytest.mark.releases


@pytest.mark.parametrize("release", SUPPORTED_RELEASES)
@pytest.mark.parametrize(
    ("ranks", "agreed"),
    [
        ({"tp_size": 2}, True),
        ({"tp_size": 2, "dp_size": 2, "enable_dp_attention": True}, False),
        ({"pp_size": 2}, True),
    ],
    ids=["tp", "dp", "pp"],
)
def test_two_ranks(release: str, ranks: dict[str, Any], agreed: bool) -> None:
    """Under held pressure on both ranks every request drains, and no promise is broken."""
    engine = {"max_total_tokens": 2_048, "page_size": 16, "max_running_requests": 16, **ranks}
    with Host(prepare(f"release:{release}"), HostSettings(engine=engine, model="canary")) as host:
        judgement, rank_steps = host.run(scripts.under_pressure)
    assert judgement.findings == ()
    judged = {one.promise: one.judged for one in judgement.promises}
    assert (judged["ranks agree"] > 0) == agreed
    assert judged["same text"] > 0
    assert rank_steps > 0
