"""The messages between a host and its worker, pickled over one socket pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exhausters.engine.api import BootFacts
from exhausters.engine.settings import HostSettings

# Step records of the running script, in the run folder: what is left of it when the worker is killed.
SPOOL_NAME = "steps.spool"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """First message to a worker: all it needs to boot.

    Attributes:
        engine: which one, as in `exhausters.engine.load.load_boot`.
        extensions: kinds of exhausters that the host's process has registered beside the built-in ones.
    """

    engine: str
    settings: HostSettings
    source_dirs: tuple[str, ...]
    run_dir: str
    target_name: str
    extensions: tuple[ScriptRef, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseConfig:
    """First message to a base (`base.py`).

    Attributes:
        engine: which one, as in `exhausters.engine.load.load_boot`.
        clock: as in `HostSettings`.
        run_dir: folder of the process.
    """

    engine: str
    clock: str
    run_dir: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReady:
    """The scheduler is up and its event loop waits for a script.

    Attributes:
        facts: what was booted.
        notes: engine keywords that were mapped or ignored, one sentence each.
    """

    facts: BootFacts
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFailed:
    """The scheduler raised, at boot or in its loop; the worker ends after this message.

    Attributes:
        phase: `import`, `boot` or `loop`.
        error: an error of this project's own, when the cause is known that exactly.
        traceback: SGLang's own traceback text.
        missing_module: dotted name of a module that could not be imported.
        out_of_memory: whether the cause was memory of the process or of SGLang's pools.
        salvaged: what the running script had until then, when it offers that.
    """

    phase: str
    traceback: str
    error: BaseException | None = None
    missing_module: str | None = None
    out_of_memory: bool = False
    salvaged: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRef:
    """Where a script's function, or another global of a module, is found in the worker.

    Attributes:
        module: dotted module name, `__main__` allowed.
        qualname: dotted name inside the module.
        file: source file of the module; None for a module of this package.
        import_root: folder from which `module` can be imported; None for a module of this package.
    """

    module: str
    qualname: str
    file: str | None = None
    import_root: str | None = None

    def __str__(self) -> str:
        return f"{self.module}:{self.qualname}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunScript:
    """Reset the engine, then run one script to its end.

    Attributes:
        as_sglang: show it what SGLang's own runtime shows beside the context.
    """

    script: ScriptRef
    args: tuple[Any, ...] = ()
    reset: bool = True
    as_sglang: bool = False


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End the event loop and the worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptSucceeded:
    """The script ended.

    Attributes:
        value: what its generator returned.
        full_marks_cleared: resets in this worker that found the idle engine marked as full, until now.
    """

    value: Any = None
    full_marks_cleared: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptFailed:
    """The script raised; the engine is reset before the next one.

    Attributes:
        traceback: the worker's traceback text.
        error: the exception itself when it belongs to this project, else None.
        full_marks_cleared: as of `ScriptSucceeded`.
    """

    traceback: str
    error: BaseException | None = None
    full_marks_cleared: int = 0
