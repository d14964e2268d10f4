"""What other code may rely on: public names, what an import loads, and the tree of errors."""

from __future__ import annotations

import importlib
import inspect
import pickle
import re
import subprocess
import sys

import pytest

from exhausters import errors
from exhausters.errors import ExhaustersError

_ALL = {
    "exhausters.targets": [
        "NEWEST_RELEASE",
        "REACHED_RELEASES",
        "SUPPORTED_RELEASES",
        "PreparedTarget",
        "TargetSpec",
        "explain_missing_module",
        "parse_target",
        "prepare",
    ],
    "exhausters.workloads": [
        "BUILDERS",
        "DEFAULT_TEXT",
        "READERS",
        "TRACES_VARIABLE",
        "BlockHits",
        "Builder",
        "CanaryText",
        "EmittedText",
        "FixedToken",
        "Request",
        "Segment",
        "Session",
        "TokenHits",
        "Transfer",
        "Workload",
        "WorkloadSpec",
        "WorkloadSummary",
        "agents",
        "block_hits",
        "build",
        "bursts",
        "long_context",
        "many_leaves",
        "parse_spec",
        "parse_workload",
        "read_azure",
        "read_mooncake",
        "read_sglang_log",
        "resolve_trace_path",
        "retraction_storm",
        "shared_prefix",
        "summarise",
        "token_hits",
    ],
}

# Classes and functions of modules that have no `__all__` and are used from outside their package.
_DEFINED = {
    "exhausters.worker.host": {"Host"},
    "exhausters.worker.script_ref": {"module_ref", "script_ref"},
    "exhausters.scripted.context": {"Observer", "ScriptedContext"},
    "exhausters.scripted.req_handle": {"AnswersAboutRequests", "ScriptedReqHandle"},
    "exhausters.scripted.test_case": {"FullMarkWarning", "ScriptedServer", "ScriptedTestCase"},
    "exhausters.scripted.helpers": {
        "advance_to_decode_step",
        "advance_to_lifecycle_stage",
        "advance_to_nth_chunk",
        "base_engine_kwargs",
        "exhaust_row_pool",
        "run_until",
        "run_until_all_finished",
        "run_until_finished",
        "warmup_radix",
    },
    "exhausters.observe.decision_log": {"DecisionLog", "Divergence", "first_divergence"},
    "exhausters.observe.step_record": {"StepRecord"},
    "exhausters.observe.metrics": {"Metric"},
    "exhausters.sweep.cell": {"Cell", "EngineSettings"},
    "exhausters.sweep.grid": {"Grid", "axis_names", "load_grid", "parse_grid"},
    "exhausters.sweep.record": {"CellResult", "RunRecord"},
    "exhausters.sweep.plan": {
        "PlannedRun",
        "Task",
        "built_workloads",
        "pairs_left",
        "plan_pairs",
        "plan_sweep",
        "require_pair",
        "share_out",
    },
    "exhausters.sweep.execute": {
        "Executor",
        "KeepsResults",
        "KnownResults",
        "LocalExecutor",
        "boot_facts",
        "imported_sources",
        "record_of",
        "run_on",
        "with_known_results",
    },
    "exhausters.sweep.workers": {"Lease", "Workers", "boot"},
    "exhausters.sweep.failure": {"failed_result"},
    "exhausters.sweep.facts": {"planned_facts", "resummarize"},
    "exhausters.sweep.runner": {"SweepOptions", "sweep"},
    "exhausters.sweep.pairs": {"run_pairs"},
    "exhausters.sweep.result_cache": {"ResultCache", "is_cached"},
    "exhausters.sweep.replay": {"Replayed", "replay", "stored_runs"},
    "exhausters.bisect.search": {"Found", "search"},
    "exhausters.sweep.store": {"RecordWriter", "pair_header", "pairs_writer", "sweep_writer"},
    "exhausters.sweep.resume": {"asked_of", "resumed_pairs_writer", "resumed_writer"},
    "exhausters.sweep.read_records": {"StoredRecords", "read_lines", "read_record", "read_records"},
}


@pytest.mark.parametrize("package", _ALL)
def test_packages_list_their_names(package: str) -> None:
    """`__all__` is complete, true, and changes only on purpose."""
    module = importlib.import_module(package)
    assert module.__all__ == _ALL[package]
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("name", _DEFINED)
def test_modules_define_these_names(name: str) -> None:
    """The public classes and functions of a module change only on purpose."""
    module = importlib.import_module(name)
    defined = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == name
    }
    assert defined == _DEFINED[name]


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        (
            "exhausters.cli.app, exhausters.doctor, exhausters.worker.host, exhausters.sweep.runner, "
            "exhausters.sweep.table, exhausters.sweep.store, exhausters.sweep.read_records, "
            "exhausters.targets, "
            "exhausters.scripted.test_case",
            "sglang, torch, triton, zmq, pandas",
        ),
        (
            "exhausters.scripted.serve, exhausters.sweep.drain, exhausters.workloads",
            "sglang, rich, typer, pandas, numpy, scipy, asv",
        ),
    ],
    ids=["parent", "worker"],
)
def test_what_an_import_loads(modules: str, unwanted: str) -> None:
    """The parent never loads SGLang or torch, the worker nothing that only the harness has, nobody pandas."""
    code = f"import sys, {modules}\nprint([name for name in {unwanted!r}.split(', ') if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def _drawn() -> dict[str, tuple[str, ...]]:
    """Names in the drawing at the top of errors.py, each with its bases: the one above, the one given."""
    assert errors.__doc__ is not None
    parents: list[str] = []
    tree: dict[str, tuple[str, ...]] = {}
    for line in errors.__doc__.splitlines():
        found = re.match(r"    ((?:│   |    )*(?:├── |└── )?)(\w+Error)(?:\((\w+)\))?(?:  |$)", line)
        if found is None:
            continue
        depth = len(found[1]) // 4
        parents[depth:] = [found[2]]
        above = (parents[depth - 1],) if depth else ("Exception",)
        tree[found[2]] = (*above, found[3]) if found[3] else above
    return tree


def test_the_tree_of_errors_is_as_drawn() -> None:
    """Every error is drawn once, below its real base; nothing is drawn that does not exist."""
    real = {
        name: tuple(base.__name__ for base in value.__bases__)
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, ExhaustersError)
    }
    assert _drawn() == real


def _subclasses(cls: type) -> set[type]:
    return {cls}.union(*(_subclasses(one) for one in cls.__subclasses__()))


def test_no_error_is_defined_elsewhere() -> None:
    """All errors live in errors.py, whatever module raises them."""
    for name in (*_DEFINED, *_ALL, "exhausters.cli.app", "exhausters.doctor", "exhausters.pressure"):
        importlib.import_module(name)
    outside = {
        f"{one.__module__}.{one.__name__}"
        for one in _subclasses(ExhaustersError)
        if one.__module__ != errors.__name__ and one.__module__.startswith("exhausters")
    }
    assert outside == set()


@pytest.mark.parametrize(
    "error",
    [
        errors.UsageError("a"),
        errors.HostError("a", log_tail="b"),
        errors.MissingModuleError("a", module="b", distribution="c"),
        errors.AllocationShortError("a", wanted_tokens=3, given_tokens=1, available_tokens=2),
        errors.ResetError("a"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_travel_whole(error: ExhaustersError) -> None:
    """An error arrives from a worker with its type, message and attributes."""
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)
