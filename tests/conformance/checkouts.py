"""Made-up checkouts: test files as SGLang writes them, with nothing of SGLang's beside them."""

from __future__ import annotations

from pathlib import Path

_UTILS = """
import no_such_library

DEFAULT_MODEL_NAME_FOR_TEST = "somebody/some-model"
_BITS: int = 3
COMPUTED = 2 * _BITS
"""

_CHUNKS = """
import unittest

from sglang.srt.managers.schedule_batch import FINISH_ABORT, FINISH_LENGTH
from sglang.test.ci.ci_register import register_cuda_ci
from sglang.test.scripted_runtime.context import ScriptedContext
from sglang.test.scripted_runtime.http_server import ScriptedHttpServer
from sglang.test.scripted_runtime.req_handle import ScriptedReqHandle
from sglang.test.scripted_runtime.scheduler_hook import ScriptedBatchRecord
from sglang.test.scripted_runtime.test_case import ScriptedTestCase
from sglang.test.scripted_runtime_chunked_helpers import (
    VERY_LONG_PROMPT_LEN,
    advance_to_decode_step,
    base_engine_kwargs,
    run_until_finished,
)
from sglang.test.test_utils import DEFAULT_MODEL_NAME_FOR_TEST, CustomTestCase

register_cuda_ci(est_time=1, stage="base-b", runner_config="1-gpu-small")

_CHUNK_SIZE = 64
_ENGINE_KWARGS = base_engine_kwargs(
    model_path=DEFAULT_MODEL_NAME_FOR_TEST, chunked_prefill_size=_CHUNK_SIZE, max_total_tokens=4096
)


def _script_nothing(t: ScriptedContext):
    yield


class TestChunks(ScriptedTestCase):
    ENGINE_KWARGS = _ENGINE_KWARGS

    def test_counted(self):
        for num_chunks in (2, 4):
            with self.subTest(num_chunks=num_chunks):
                self.server.execute_script(self._script_counted, args=(num_chunks,))

    @staticmethod
    def _script_counted(t: ScriptedContext, num_chunks: int):
        assert VERY_LONG_PROMPT_LEN == 2048
        r = t.start_req(prompt_len=num_chunks * _CHUNK_SIZE, max_new_tokens=2)
        yield from run_until_finished(r)
        assert r.chunks_done == num_chunks

    def test_request_is_there_when_it_has_finished(self):
        self.server.execute_script(self._script_request_is_there)

    @staticmethod
    def _script_request_is_there(t: ScriptedContext):
        r = t.start_req(prompt_len=16, max_new_tokens=6, ignore_eos=True)
        yield from advance_to_decode_step(r, 1)
        yield from run_until_finished(r)
        assert r.req is not None, "the request vanished"
        assert r.output_tokens == 6
        for _ in range(3):
            yield
        assert r.req is None, "the request is kept for ever"
        assert r.finished

    def test_batches(self):
        self.server.execute_script(self._script_batches)

    @staticmethod
    def _script_batches(t: ScriptedContext):
        r = t.start_req(prompt_len=2 * _CHUNK_SIZE, max_new_tokens=4, ignore_eos=True)
        yield from run_until_finished(r)
        log = t._scheduler_hook._batch_log
        assert all(isinstance(record, ScriptedBatchRecord) for record in log)
        assert [record.mode for record in log][:3] == ["extend", "extend", "decode"]
        assert [record.chunked_rid for record in log][:3] == [r.rid, None, None]
        assert log[0].extend_rids == (r.rid,)

    def test_failures_surface(self):
        with self.assertRaises(AssertionError) as caught:
            self.server.execute_script(self._script_not_a_generator)
        self.assertIn("TypeError", str(caught.exception))
        with self.assertRaises(AssertionError) as caught:
            self.server.execute_script(self._script_bad_level)
        self.server.execute_script(self._script_partial_eviction_is_refused)

    @staticmethod
    def _script_not_a_generator(t: ScriptedContext):
        return None

    @staticmethod
    def _script_bad_level(t: ScriptedContext):
        yield
        t.exhaust_kv(leave_pages=-1)

    @staticmethod
    def _script_partial_eviction_is_refused(t: ScriptedContext):
        yield
        try:
            t.evict_radix(prefix_tokens=[1])
        except AssertionError:
            return
        raise RuntimeError("taken")

    def test_that_fails(self):
        self.server.execute_script(self._script_that_fails)

    @staticmethod
    def _script_that_fails(t: ScriptedContext):
        r = ScriptedReqHandle(rid="no-such-rid", context=t)
        yield
        assert r.req is not None, "nobody has this name"

    @unittest.skip("wants two engines")
    def test_for_two(self):
        raise AssertionError


class TestOfADevice(ScriptedTestCase):
    ENGINE_KWARGS = base_engine_kwargs(chunked_prefill_size=_CHUNK_SIZE, disable_cuda_graph=False)

    def test_graphs(self):
        self.server.execute_script(_script_nothing)


class TestSession(CustomTestCase):
    def test_ends_twice(self):
        session = ScriptedHttpServer.start(**_ENGINE_KWARGS)
        session.shutdown()
        session.shutdown()
        assert session._shutdown_done is True

    def test_dirty(self):
        session = ScriptedHttpServer.start(**_ENGINE_KWARGS)
        try:
            session._dirty = "on purpose"
            with self.assertRaises(RuntimeError) as caught:
                session.execute_script(_script_nothing)
            assert "on purpose" in str(caught.exception)
        finally:
            session.shutdown()


if __name__ == "__main__":
    unittest.main()
"""

_MESSAGES = """
import unittest

from sglang.test.scripted_runtime.io_struct import Shutdown


class TestMessages(unittest.TestCase):
    def test_shutdown(self):
        assert Shutdown()
"""

_PART_OF_THE_RUNTIME = """
from sglang.test.scripted_runtime.test_case import ScriptedTestCase
from sglang.test.scripted_runtime.utils import resolve_fn


class TestOfParts(ScriptedTestCase):
    ENGINE_KWARGS = {"page_size": 1}

    def test_names(self):
        assert resolve_fn
"""

# How each test of `test_scripted_chunks.py` ends.
PASSES = (
    "TestChunks.test_counted",
    "TestChunks.test_request_is_there_when_it_has_finished",
    "TestChunks.test_batches",
    "TestChunks.test_failures_surface",
    "TestSession.test_ends_twice",
    "TestSession.test_dirty",
)
FAILS = ("TestChunks.test_that_fails",)
IS_NOT_APPLICABLE = ("TestChunks.test_for_two", "TestOfADevice.test_graphs")


def make_checkout(folder: Path) -> Path:
    """A checkout with three files of scripted tests and one that has nothing to do with them."""
    for name, text in {
        "python/sglang/__init__.py": "raise ImportError('imported')",
        "python/sglang/test/test_utils.py": _UTILS,
        "test/manual/test_scripted_chunks.py": _CHUNKS,
        "test/registered/unit/test_messages.py": _MESSAGES,
        "test/registered/unit/test_parts.py": _PART_OF_THE_RUNTIME,
        "test/registered/test_other.py": "import unittest\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
