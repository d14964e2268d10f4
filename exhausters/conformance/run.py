"""Run the tests of a file in this process, which has no SGLang; their scripts run in workers."""

from __future__ import annotations

import sys
import traceback
import unittest
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from types import ModuleType, TracebackType
from typing import Any

from exhausters.conformance.discover import TestFile
from exhausters.conformance.modules import NotOfTheApiError, ScriptModules, load_file
from exhausters.conformance.outcome import (
    FAILED,
    NOT_APPLICABLE,
    PASSED,
    SKIPS_ITSELF,
    TestOutcome,
    one_line,
)
from exhausters.conformance.server import Bench, BootedTestCase, ScriptServer
from exhausters.errors import NotApplicableError

_NO_ENGINE = "boots no engine: tests parts of SGLang's own runtime (HTTP, messages between processes)"
_Raised = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


def run_files(
    files: Iterable[TestFile], bench: Bench, *, on_file: Callable[[TestFile], None] = lambda file: None
) -> Iterator[TestOutcome]:
    """Run files one after another; `on_file` is told of each before it runs."""
    for file in files:
        on_file(file)
        yield from run_file(file, bench)


def run_file(file: TestFile, bench: Bench) -> Iterator[TestOutcome]:
    """Run all tests of a file; what its top level raises is the outcome of each."""
    if not file.boots_engine:
        yield from _all(file, file.tests, NOT_APPLICABLE, _NO_ENGINE)
        return
    with _imported(file, bench) as (module, error):
        if module is None:
            assert error is not None
            outcome = NOT_APPLICABLE if isinstance(error, NotOfTheApiError) else FAILED
            yield from _all(file, file.tests, outcome, one_line(error), detail=_text(error))
            return
        for class_name, tests in groupby(file.tests, key=lambda test: test[0]):
            yield from _run_class(file, getattr(module, class_name, None), list(tests))


@contextmanager
def _imported(file: TestFile, bench: Bench) -> Iterator[tuple[ModuleType | None, Exception | None]]:
    """Import a file with SGLang's runtime replaced; on the end everything is as before."""
    server = type("ScriptedHttpServer", (ScriptServer,), {"bench": bench})
    test_case = type("ScriptedTestCase", (BootedTestCase,), {"server_class": server})
    path, known = list(sys.path), set(sys.modules)
    try:
        with ScriptModules(test_case=test_case, server=server, source_dir=bench.source_dir, has_sglang=False):
            try:
                module, error = load_file(file.path), None
            except Exception as raised:
                module, error = None, raised
            yield module, error
    finally:
        sys.path[:] = path
        if file.path.stem not in known:
            sys.modules.pop(file.path.stem, None)


def _run_class(file: TestFile, test_class: Any, tests: list[tuple[str, str]]) -> Iterator[TestOutcome]:
    if not (isinstance(test_class, type) and issubclass(test_class, unittest.TestCase)):
        yield from _all(file, tests, FAILED, "is no unittest class when its file is imported without SGLang")
        return
    try:
        test_class.setUpClass()
    except Exception as error:
        outcome = FAILED
        if isinstance(error, NotApplicableError | unittest.SkipTest):
            outcome = NOT_APPLICABLE
        yield from _all(file, tests, outcome, one_line(error), detail=_text(error))
        return
    try:
        for class_name, method in tests:
            outcome, reason, detail = _run_test(test_class, method)
            yield TestOutcome(
                file=file.name, test=f"{class_name}.{method}", outcome=outcome, reason=reason, detail=detail
            )
    finally:
        test_class.tearDownClass()


def _run_test(test_class: type[unittest.TestCase], method: str) -> tuple[str, str, str]:
    """Outcome, reason and detail of one test."""
    result = _Result()
    try:
        test_class(method).run(result)
    except ValueError as error:  # unittest has found no such method
        return FAILED, str(error), ""
    if result.skipped_because is not None:
        return NOT_APPLICABLE, f"{SKIPS_ITSELF}: {result.skipped_because}", ""
    if result.raised is None:
        return PASSED, "", ""
    if isinstance(result.raised, NotApplicableError):
        return NOT_APPLICABLE, one_line(result.raised), ""
    return FAILED, one_line(result.raised), _text(result.raised)


class _Result(unittest.TestResult):
    """Keeps the first thing that went wrong in a test, a sub-test included."""

    def __init__(self) -> None:
        super().__init__()
        self.raised: BaseException | None = None
        self.skipped_because: str | None = None

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802 (unittest's name)
        self._keep(err)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        self._keep(err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:  # noqa: N802
        if err is not None:
            self._keep(err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        self.skipped_because = reason

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        self.raised = self.raised or AssertionError("passed, and was expected to fail")

    def _keep(self, err: _Raised) -> None:
        self.raised = self.raised or err[1]


def _text(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _all(
    file: TestFile, tests: Iterable[tuple[str, str]], outcome: str, reason: str, *, detail: str = ""
) -> Iterator[TestOutcome]:
    for class_name, method in tests:
        yield TestOutcome(
            file=file.name, test=f"{class_name}.{method}", outcome=outcome, reason=reason, detail=detail
        )
