"""What a host and its worker say to each other, pickled over one socket pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Step records of the running script, in the run folder: what is left of it when the worker is killed.
SPOOL_NAME = "steps.spool"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """How one scheduler is booted.

    Attributes:
        engine: keywords for SGLang's `ServerArgs`, as a user of SGLang writes them.
        switches: further keywords, of which this SGLang must have each and take its value.
        clock: `virtual` (strictly increasing, reproducible) or `real`.
        model: name of a null model in `exhausters.engine.sglang.null_models.MODELS`.
        emitted_token: the token id that the null model emits for every request and step.
        tree_core: `python`, `rust`, or `default` (the target decides).
        environment: further environment variables for the worker, e.g. `SGLANG_…` switches.
        memory_limit_bytes: address-space limit of the worker; None for no limit.
    """

    engine: Mapping[str, Any] = field(default_factory=dict)
    switches: Mapping[str, Any] = field(default_factory=dict)
    clock: str = "virtual"
    model: str = "dense"
    emitted_token: int = 5
    tree_core: str = "default"
    environment: Mapping[str, str] = field(default_factory=dict)
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """First message to a worker: all it needs to boot."""

    settings: HostSettings
    source_dirs: tuple[str, ...]
    run_dir: str
    target_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReady:
    """The scheduler is up and its event loop waits for a script.

    Attributes:
        facts: what was booted, e.g. `tree_cache`, `tree_core`, `allocator`, `max_total_tokens`.
        notes: engine keywords that were mapped or ignored, one sentence each.
    """

    facts: Mapping[str, Any]
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
    salvaged: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRef:
    """Where a script's function is found in the worker.

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
    """Reset the engine, then run one script to its end."""

    script: ScriptRef
    args: tuple[Any, ...] = ()
    reset: bool = True


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End the event loop and the worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptSucceeded:
    """The script ended; `value` is what its generator returned."""

    value: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptFailed:
    """The script raised; the engine is reset before the next one.

    Attributes:
        traceback: the worker's traceback text.
        error: the exception itself when it belongs to this project, else None.
    """

    traceback: str
    error: BaseException | None = None
