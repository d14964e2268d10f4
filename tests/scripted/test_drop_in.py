from __future__ import annotations

import pytest

from exhausters.scripted.helpers import LIFECYCLE_STAGES, base_engine_kwargs
from exhausters.scripted.test_case import ScriptedTestCase
from tests.scripted import scripts_drop_in as scripts


@pytest.mark.real
class TestScriptsWrittenForSGLang(ScriptedTestCase):
    # For a GPU and a real model: none of it may be in the way.
    ENGINE_KWARGS = base_engine_kwargs(
        kv_canary="raise", mem_fraction_static=0.5, context_length=4096, max_running_requests=12
    )

    def test_chunks(self) -> None:
        """A chunked prefill has as many chunks as SGLang's own runtime counts."""
        for num_chunks in (2, 5):
            with self.subTest(num_chunks=num_chunks):
                self.server.execute_script(scripts.chunks_are_counted, args=(num_chunks,))

    def test_abort_at_each_stage(self) -> None:
        """An abort at any stage of a request's life gives all of its pages, rows and locks back."""
        for stage in LIFECYCLE_STAGES:
            with self.subTest(stage=stage):
                self.server.execute_script(scripts.abort_at_stage, args=(stage,))

    def test_cached_prefix(self) -> None:
        """A prompt whose prefix was warmed up is not chunked again."""
        self.server.execute_script(scripts.cached_prefix_skips_chunks)

    def test_pressure(self) -> None:
        """The exhausters of SGLang's runtime work under their own names."""
        self.server.execute_script(scripts.pressure_from_all_sides, timeout_s=60.0)

    def test_rows(self) -> None:
        """SGLang's own way of filling the rows works too, and the next script finds them free."""
        self.server.execute_script(scripts.rows_are_filled)
        self.server.execute_script(scripts.chunks_are_counted, args=(2,))

    def test_failing_script(self) -> None:
        """A failing script is an AssertionError with its own message."""
        with pytest.raises(AssertionError, match="stage='no_such_stage'"):
            self.server.execute_script(scripts.abort_at_stage, args=("no_such_stage",))

    def test_same_names_and_signatures(self) -> None:
        """Every helper, constant, method and property of SGLang's runtime exists here, with its keywords."""
        compared, differences = self.server.execute_script(scripts.compare_with_sglang)
        assert list(differences) == []
        assert compared > 40


class EngineKeywordsAreMissing(ScriptedTestCase):
    __test__ = False


def test_engine_keywords_must_be_given() -> None:
    """A test case without engine keywords is refused before anything is booted."""
    with pytest.raises(AssertionError, match="set ENGINE_KWARGS"):
        EngineKeywordsAreMissing.setUpClass()
