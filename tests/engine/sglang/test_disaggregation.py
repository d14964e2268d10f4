"""What makes an engine one of a disaggregated pair, and what is refused before anything boots."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from exhausters.engine.api import Submission
from exhausters.engine.fake.engine import FakeEngine
from exhausters.engine.sglang import disaggregation
from exhausters.errors import UnsupportedSettingError
from exhausters.workloads import Transfer
from tests.engine.sglang.shapes import FakeScheduler
from tests.fakes.fake_engine import ScriptRunner

_BACKUP = "disaggregation_decode_retraction_backup"
_OLD = frozenset({disaggregation.SWITCH, "disaggregation_transfer_backend"})
_NEW = _OLD | {_BACKUP, "hicache_io_backend", "hicache_mem_layout"}
_BACKEND = {"disaggregation_transfer_backend": "nixl"}


def test_nothing_is_set_for_an_engine_that_runs_alone() -> None:
    """A boot without a role has no keyword that it would not have otherwise."""
    for asked in ({}, {disaggregation.SWITCH: "null"}):
        assert disaggregation.completed(asked, known=_NEW) == {}


@pytest.mark.parametrize(
    ("asked", "known", "copies"),
    [
        ({disaggregation.SWITCH: "prefill"}, _NEW, False),
        ({disaggregation.SWITCH: "decode"}, _NEW, True),
        ({disaggregation.SWITCH: "decode", _BACKUP: "cpu_tensor"}, _NEW, False),
        ({disaggregation.SWITCH: "decode"}, _OLD, False),
    ],
)
def test_what_a_role_needs_is_set(asked: dict[str, Any], known: frozenset[str], copies: bool) -> None:
    """The backend is that in whose place the null one stands; a decode engine that has a pool for backups in
    host memory copies without a GPU.
    """
    needed = {"hicache_io_backend": "direct", "hicache_mem_layout": "layer_first"} if copies else {}
    assert disaggregation.completed(asked, known=known) == {**_BACKEND, **needed}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"disaggregation_transfer_backend": "mooncake"}, "=mooncake: a null transfer engine stands in"),
        ({"disaggregation_enable_kv_checksum": True}, "=true: its checksums are computed on a GPU"),
        ({"disaggregation_decode_enable_offload_kvcache": True}, "=true: it works in threads of its own"),
        ({"enable_pd_role_switch": True}, "=true: the engine would become another one"),
        ({"disaggregation_decode_host_receive_threshold": 0.5}, "=0.5: the null transfer engine does not do"),
        ({"disaggregation_decode_allocation_policy": "prefill_complete"}, "expected 'early'"),
    ],
)
def test_what_cannot_run_is_refused(asked: dict[str, Any], said: str) -> None:
    """What would need a GPU, threads or a real transfer is a typed error, before the boot."""
    with pytest.raises(UnsupportedSettingError, match=said):
        disaggregation.completed({disaggregation.SWITCH: "decode", **asked}, known=_NEW)


@pytest.mark.parametrize("engine", [FakeScheduler().engine, FakeEngine(ScriptRunner().scheduler)])
def test_an_engine_that_runs_alone_refuses_transfers(engine: Any) -> None:
    """A request that is to be transferred is refused, not sent without."""
    submission = Submission(rid="a", input_ids=array("q", [1]), sampling={}, transfer=Transfer())
    with pytest.raises(UnsupportedSettingError, match=r"a: Transfer.*transfers nothing"):
        engine.submit(submission)
