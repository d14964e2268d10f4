"""A made-up checkout's tests are run: on the fake engine, in worker processes, and on the newest release."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import exhausters.conformance.run
import exhausters.targets
from exhausters.cli.app import app
from exhausters.conformance import server as server_module
from exhausters.conformance.discover import discover, source_dir
from exhausters.conformance.outcome import FAILED, NOT_APPLICABLE, PASSED, TestOutcome
from exhausters.conformance.report import BEGIN, END, write_document
from exhausters.conformance.run import run_files
from exhausters.conformance.server import Bench
from exhausters.errors import BootError, NotApplicableError, UsageError
from exhausters.results_folder import folder_held
from tests.conformance.checkouts import FAILS, IS_NOT_APPLICABLE, PASSES, make_checkout
from tests.fakes.fake_target import fake_target

_CHUNKS = "test/manual/test_scripted_chunks.py"


@pytest.fixture(name="outcomes", scope="module")
def _outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[TestOutcome]:
    """What a run on fake workers gives."""
    checkout = make_checkout(tmp_path_factory.mktemp("checkout"))
    with Bench(fake_target(), source_dir=source_dir(checkout)) as bench:
        return list(run_files(discover(checkout), bench))


def test_each_test_has_its_outcome(outcomes: list[TestOutcome]) -> None:
    """A test passes, fails or is not applicable as it is written; none is lost."""
    found = {one.test: one.outcome for one in outcomes if one.file == _CHUNKS}
    assert found == dict.fromkeys(PASSES, PASSED) | dict.fromkeys(FAILS, FAILED) | dict.fromkeys(
        IS_NOT_APPLICABLE, NOT_APPLICABLE
    )


def test_reasons_are_said(outcomes: list[TestOutcome]) -> None:
    """A failure says what the script's error said; what is not applicable says what it asks for."""
    said = {one.test: one.reason for one in outcomes}
    assert said["TestChunks.test_that_fails"] == "AssertionError: nobody has this name"
    assert said["TestChunks.test_for_two"] == "skips itself: wants two engines"
    assert said["TestOfADevice.test_graphs"].startswith("disable_cuda_graph=False: asks for")
    assert "boots no engine" in said["TestMessages.test_shutdown"]
    assert "sglang.test.scripted_runtime.utils" in said["TestOfParts.test_names"]


def test_nothing_is_left_in_this_process(outcomes: list[TestOutcome]) -> None:
    """After a run this process has neither SGLang nor the test files among its modules, nor their folders."""
    assert outcomes
    assert not [name for name in sys.modules if name.partition(".")[0] == "sglang"]
    assert "test_scripted_chunks" not in sys.modules
    assert not [folder for folder in sys.path if folder.endswith("test/manual")]


_SAID = """fake: booting the scheduler failed: and nothing else
Traceback (most recent call last):
  File "scheduler.py", line 1, in boot
    look()
RuntimeError: no device
and nothing else"""


class _PickyHost:
    """A host that does not boot with some keywords."""

    hated: tuple[str, ...] = ()
    error: type[Exception] = BootError

    def __init__(self, target: Any, settings: Any, *, template: Any = None) -> None:
        if self.hated == ("all",) or any(name in settings.engine for name in self.hated):
            raise self.error(_SAID)

    @staticmethod
    def template(target: Any, settings: Any, bases: Any = None) -> None:
        return None

    def close(self) -> None:
        pass


_ENGINE: Mapping[str, Any] = {"chunked_prefill_size": 64, "one": 1, "two": 2, "three": 3}


@pytest.fixture(name="picky")
def _picky(monkeypatch: pytest.MonkeyPatch) -> type[_PickyHost]:
    monkeypatch.setattr(server_module, "Host", _PickyHost)
    monkeypatch.setattr(_PickyHost, "hated", ())
    monkeypatch.setattr(_PickyHost, "error", BootError)
    return _PickyHost


@pytest.mark.parametrize(("hated", "named"), [(("two",), "two=2"), (("one", "three"), "one=1, three=3")])
def test_the_keywords_that_keep_an_engine_from_booting_are_named(
    picky: type[_PickyHost], hated: tuple[str, ...], named: str
) -> None:
    """A boot that fails only with some keywords is not applicable; its reason names these and no other."""
    picky.hated = hated
    with Bench(fake_target(), source_dir=Path()) as bench, pytest.raises(NotApplicableError) as caught:
        bench.boot(_ENGINE)
    assert str(caught.value) == f"{named}: does not boot here: RuntimeError: no device"


def test_an_engine_that_never_boots_is_a_failure(picky: type[_PickyHost]) -> None:
    """A boot that fails whatever is left out is no reason for a test not to be applicable."""
    picky.hated = ("all",)
    with Bench(fake_target(), source_dir=Path()) as bench, pytest.raises(BootError):
        bench.boot(_ENGINE)


def test_what_the_harness_refuses_is_not_applicable(picky: type[_PickyHost]) -> None:
    """An argument that the harness refuses is the reason as it stands, and no other boot is tried."""
    picky.hated, picky.error = ("one",), UsageError
    with (
        Bench(fake_target(), source_dir=Path()) as bench,
        pytest.raises(NotApplicableError, match="booting the scheduler failed"),
    ):
        bench.boot(_ENGINE)


def test_tables_stand_between_the_marks(tmp_path: Path, outcomes: list[TestOutcome]) -> None:
    """The document keeps what people wrote, its tables are those of the run; one without marks is refused."""
    document = tmp_path / "conformance.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_document(document, fake_target(), outcomes)
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert f"| `{_CHUNKS}` | {len(PASSES)} | {len(FAILS)} | {len(IS_NOT_APPLICABLE)} |" in text
    assert "| `TestChunks.test_that_fails` | AssertionError: nobody has this name |" in text
    document.write_text("no marks")
    with pytest.raises(UsageError, match="restore them"):
        write_document(document, fake_target(), outcomes)


def test_the_command_refuses_a_folder_without_tests(tmp_path: Path) -> None:
    """The exit code for what is no checkout is 2."""
    done = CliRunner().invoke(app, ["conformance", str(tmp_path)])
    assert done.exit_code == 2


def test_two_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second is refused before its target is made ready."""
    checkout, out = make_checkout(tmp_path / "checkout"), tmp_path / "out"
    arguments = ["conformance", str(checkout), "--target", "release:0.0.0", "--out", str(out)]
    with folder_held(out, holds="conformance"):
        done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "another conformance writes into it" in done.stderr


def test_a_disk_that_is_full_in_the_end_loses_no_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcomes: list[TestOutcome]
) -> None:
    """The tables are printed, and the JSON with its tracebacks; the exit code is that of an error."""
    checkout, out = make_checkout(tmp_path / "checkout"), tmp_path / "out"
    (out / "conformance.json").mkdir(parents=True)  # in the way of the file
    monkeypatch.setattr(exhausters.targets, "prepare", lambda text, **_: fake_target())
    monkeypatch.setattr(exhausters.conformance.run, "run_file", lambda file, bench: iter(outcomes))
    arguments = ["conformance", str(checkout), "--only", "chunks", "--out", str(out)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    printed = done.stdout.partition("conformance.json, which could not be written:\n")
    assert "failed: test/manual/test_scripted_chunks.py: TestChunks.test_that_fails" in printed[0]
    assert len(json.JSONDecoder().raw_decode(printed[2])[0]["tests"]) == len(outcomes)
    assert "StoreError" in done.stderr


@pytest.mark.real
def test_on_the_newest_release(tmp_path: Path) -> None:
    """A file written as SGLang writes them gives the same outcomes on the real scheduler, by the command."""
    checkout, out = make_checkout(tmp_path / "checkout"), tmp_path / "out"
    arguments = [
        "conformance",
        str(checkout),
        "--target",
        "release:0.5.23",
        "--only",
        "chunks",
        "--out",
        str(out),
    ]
    done = CliRunner().invoke(app, arguments)
    found = {
        one["test"]: one["outcome"] for one in json.loads((out / "conformance.json").read_text())["tests"]
    }
    assert found == dict.fromkeys(PASSES, PASSED) | dict.fromkeys(FAILS, FAILED) | dict.fromkeys(
        IS_NOT_APPLICABLE, NOT_APPLICABLE
    )
    assert done.exit_code == 1
    assert "failed: test/manual/test_scripted_chunks.py: TestChunks.test_that_fails" in done.output
