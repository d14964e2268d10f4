"""Writes a case as a test of a few lines for the scripted API, and runs it as such."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from exhausters.engine.settings import CANARIES
from exhausters.errors import BootError, ConservationError, ExhaustersError, HostError
from exhausters.fuzz.cases import Case
from exhausters.fuzz.operations import (
    Abort,
    Exhaust,
    Flush,
    Operation,
    Pause,
    Release,
    Resume,
    Steps,
    Submit,
)
from exhausters.fuzz.play import CLEAN_END, NO_CRASH
from exhausters.fuzz.shrink import ShrunkCase
from exhausters.sweep.workers import Lease
from exhausters.targets import PreparedTarget
from exhausters.why.reproducer import SCRIPT_NAME, PromptTokens, engine_lines, literal
from exhausters.worker.protocol import ScriptRef
from exhausters.workloads import Session

_FILE = '''"""{promise}: {saw}.

Promised: {wants}.

    EXHAUSTERS_TARGET={target} python {file}  # fails
"""

import unittest
{imports}
from exhausters.scripted.judged_run import JudgedRun
{said}{reset}from exhausters.scripted.test_case import ScriptedTestCase
{session}

def script(t):
    with JudgedRun(t, chunk_tokens={chunk_tokens}) as run:
{body}
{end}


class TestPromise(ScriptedTestCase):
    ENGINE_KWARGS = {{
{engine}
    }}

    def test_is_kept(self):
        self.server.execute_script(script)


if __name__ == "__main__":
    unittest.main()
'''


def script_text(shrunk: ShrunkCase, *, target: str, file: str) -> str:
    """Return the test.

    Args:
        shrunk: the case, and what it shows.
        target: where it fails.
        file: what the test is called.
    """
    finding, case = shrunk.finding, shrunk.case
    settings, imports = engine_lines(case.engine)
    has_reset = finding.promise == CLEAN_END
    body = "\n".join(f"        {line}" for line in _lines(case))
    return _FILE.format(
        promise=finding.promise,
        saw=finding.saw,
        wants=finding.wants,
        target=target,
        file=file,
        imports=imports,
        reset="from exhausters.scripted.reset import reset_engine\n" if has_reset else "",
        said="from exhausters.scripted.recorded_steps import said\n" if "said(" in body else "",
        session="from exhausters.workloads import Session\n" if "Session(" in body else "",
        chunk_tokens=case.engine.chunked_prefill_size,
        body=body,
        end="\n".join(f"    {line}" for line in _end(finding.promise)),
        engine="\n".join(settings),
    )


def fails(file: Path, case: Case, target: PreparedTarget, lease: Lease) -> bool:
    """Run the script of a file; whether it fails for a broken promise, or ends the worker."""
    path = file.resolve()
    script = ScriptRef(module="__main__", qualname=SCRIPT_NAME, file=str(path), import_root=str(path.parent))
    try:
        lease.host(target, case.engine).run(script)
    except BootError:  # the script has not run
        return False
    except (AssertionError, ConservationError, HostError):
        return True
    except ExhaustersError:
        return False
    return False


def _lines(case: Case) -> Iterator[str]:
    tokens = PromptTokens(has_text=case.engine.model in CANARIES)
    for one in case.script.operations:
        yield _line(one, tokens)
    yield "yield from run.drain()"


def _line(one: Operation, tokens: PromptTokens) -> str:
    match one:
        case Submit(request=request):
            keywords = [f"max_new_tokens={request.max_new_tokens}"] if request.max_new_tokens != 1 else []
            keywords += ["ignore_eos=True"] if request.ignore_eos else []
            keywords += [
                f"{name}={literal(value)}"
                for name in ("priority", "logprobs_from", "adapter", "grammar_steps", "after")
                if (value := getattr(request, name)) is not None
            ]
            keywords += [f"session={_session(request.session)}"] if request.session is not None else []
            return f"run.submit({', '.join([literal(request.rid), tokens.prompt(request), *keywords])})"
        case Steps(count=count):
            return f"yield from run.steps({count})"
        case Abort(rid=rid, stage=None):
            return f"run.abort({literal(rid)})"
        case Abort(rid=rid, stage=stage, within_steps=within):
            question = f"run.until({literal(rid)}, {literal(stage)}, within={within})"
            return f"if (yield from {question}):\n            run.abort({literal(rid)})"
        case Pause(mode=mode):
            return f"run.pause({literal(mode)})"
        case Resume():
            return "run.resume()"
        case Exhaust(levels=levels):
            given = [f"{name}={level}" for name, level in levels.given().items()]
            return f"run.exhaust({', '.join([*given, *(['held=True'] if levels.held else [])])})"
        case Release():
            return "run.release()"
        case Flush():
            return "yield from run.flush()"
    raise AssertionError(f"an operation without a line: {one!r}")


def _session(session: Session) -> str:
    head = f", has_tokens={session.has_tokens}" if session.has_tokens else ""
    return f"Session(name={literal(session.name)}, streams={session.streams}{head})"


def _end(promise: str) -> Iterator[str]:
    if promise == CLEAN_END:
        yield "yield from reset_engine(t)"
    elif promise == NO_CRASH:
        yield "# Fails before its end."
    else:
        yield f"run.expect_kept({literal(promise)})"
