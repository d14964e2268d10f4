"""Scripted tests are found, and what they import is mapped, without importing anything of SGLang's."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from exhausters.conformance.discover import discover, source_dir
from exhausters.conformance.modules import NotOfTheApiError, ScriptModules
from exhausters.conformance.server import BootedTestCase
from exhausters.conformance.stand_ins import Placeholder, literals
from exhausters.errors import NotHereError, UsageError
from exhausters.scripted import helpers
from tests.conformance.checkouts import FAILS, IS_NOT_APPLICABLE, PASSES, make_checkout


@pytest.fixture(name="modules")
def _modules(tmp_path: Path) -> ScriptModules:
    folder = source_dir(make_checkout(tmp_path))
    return ScriptModules(test_case=BootedTestCase, server=None, source_dir=folder, has_sglang=False)


def test_files_and_tests_are_found(tmp_path: Path) -> None:
    """Every test of a file that uses the scripted runtime is found, in order; other files are left alone."""
    found = {file.name: file for file in discover(make_checkout(tmp_path))}
    assert list(found) == [
        "test/manual/test_scripted_chunks.py",
        "test/registered/unit/test_messages.py",
        "test/registered/unit/test_parts.py",
    ]
    chunks = found["test/manual/test_scripted_chunks.py"]
    assert {".".join(test) for test in chunks.tests} == {*PASSES, *FAILS, *IS_NOT_APPLICABLE}
    assert chunks.tests[0] == ("TestChunks", "test_counted")
    assert [file.boots_engine for file in found.values()] == [True, False, True]


def test_inherited_tests_are_found(tmp_path: Path) -> None:
    """A class has the tests of a class of the same file that it inherits from, and is scripted as that is."""
    file = tmp_path / "test" / "test_scripted_heirs.py"
    file.parent.mkdir()
    file.write_text(
        "from sglang.test.scripted_runtime.test_case import ScriptedTestCase\n"
        "class Base(ScriptedTestCase):\n    def test_one(self): ...\n"
        "class Heir(Base):\n    def test_two(self): ...\n"
        "class Plain:\n    def test_three(self): ...\n"
    )
    (found,) = discover(tmp_path)
    assert found.tests == (("Base", "test_one"), ("Heir", "test_one"), ("Heir", "test_two"))
    assert found.boots_engine


def test_a_folder_without_scripted_tests_is_refused(tmp_path: Path) -> None:
    """A folder that is no checkout, or an old one, is an error that says what was expected."""
    with pytest.raises(UsageError, match="expected a checkout of SGLang with scripted tests"):
        discover(tmp_path)


def test_names_are_mapped_to_ours(modules: ScriptModules) -> None:
    """What a script imports of SGLang's runtime is the harness's own, and nothing of it stays afterwards."""
    with modules:
        theirs = importlib.import_module("sglang.test.scripted_runtime_chunked_helpers")
        assert theirs.run_until_finished is helpers.run_until_finished
        case = importlib.import_module("sglang.test.scripted_runtime.test_case")
        assert case.ScriptedTestCase is BootedTestCase
    assert not [name for name in sys.modules if name.partition(".")[0] == "sglang"]


def test_other_modules_are_stand_ins(modules: ScriptModules) -> None:
    """A constant of a module that is not imported has its value; what is none can be named, not used."""
    with modules:
        utils = importlib.import_module("sglang.test.test_utils")
        assert utils.DEFAULT_MODEL_NAME_FOR_TEST == "somebody/some-model"
        assert isinstance(utils.COMPUTED, Placeholder)
        assert repr(utils.COMPUTED(1).field) == "sglang.test.test_utils.COMPUTED(…).field"
        with pytest.raises(NotHereError, match="only the worker has it"):
            bool(utils.COMPUTED)


def test_parts_of_the_runtime_are_refused(modules: ScriptModules) -> None:
    """A part of SGLang's runtime that is not of the API is no stand-in: a test of it would test nothing."""
    with modules, pytest.raises(NotOfTheApiError, match="not of its scripted API"):
        importlib.import_module("sglang.test.scripted_runtime.io_struct")


def test_literals_of_a_missing_file(tmp_path: Path) -> None:
    """A module whose source is not there has no constants."""
    assert literals(tmp_path / "no.py") == {}
