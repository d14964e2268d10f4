"""Bring SGLang's real scheduler up in this process and run its event loop; an `exhausters.engine.api.Boot`.

Three supported entry points are used: the external-model package for the null model, the override of
`Scheduler.maybe_init_scripted_scheduler_hook` for our hook, and `run_scheduler_process` for the rest. Older
code has no such hook; `unhooked` steps it.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from exhausters.engine.api import ONLY_RANK, BootFacts, Engine, EngineHook, Place, World
from exhausters.engine.settings import CANARIES, HostSettings
from exhausters.engine.sglang import (
    cpu_kernels,
    disaggregation,
    hicache,
    idle_checks,
    inbox,
    kernel_package,
    lora,
    mamba,
    speculative,
    unhooked,
)
from exhausters.engine.sglang.common_imports import import_common
from exhausters.engine.sglang.draft_script import DraftScript
from exhausters.engine.sglang.engine import SGLangEngine
from exhausters.engine.sglang.environment import set_environment
from exhausters.engine.sglang.facts import require_rust_core
from exhausters.engine.sglang.import_watch import asked_for, is_watching, watch_imports
from exhausters.engine.sglang.null_models import DRAFT, VERIFIER, write_model_folder
from exhausters.engine.sglang.rooms import Rooms
from exhausters.engine.sglang.server_args import known_names, server_arguments
from exhausters.engine.sglang.source_tree import unnamed_variables
from exhausters.engine.sglang.switches import refusal_in, shown_switch
from exhausters.engine.sglang.world import install_for, port_arguments, world_of
from exhausters.errors import SeamError, UnsupportedSettingError

__all__ = ["check", "import_before_clock", "load", "load_common", "refusal", "run", "world"]

_TORCHVISION_LIBRARIES: list[Any] = []
_SCHEDULER_MODULE = "sglang.srt.managers.scheduler"
_RUNNER_MODULE = "sglang.srt.model_executor.model_runner"


def import_before_clock() -> None:
    """Import torch and zmq, whose waiting must stay real."""
    import torch
    import zmq

    _ = zmq
    torch.set_num_threads(1)


def load_common() -> None:
    """Import what SGLang imports of what is installed beside it, and watch that as the rest."""
    watch_imports(())
    _define_torchvision_operators()
    import_common()


def load(settings: HostSettings, source_dirs: tuple[str, ...]) -> None:
    """Set SGLang's environment and import the target's scheduler module.

    Raises:
        ImportError: SGLang, or something it imports, is not there.
        SeamError: the sglang that was found is not the target's.
        UnsupportedSettingError: a variable of SGLang's that this SGLang's source never names.
    """
    if is_watching():
        _require_unshadowed(source_dirs)
    unnamed = unnamed_variables(settings.environment, source_dirs)
    if unnamed:
        shown = ", ".join(f"env.{name}={settings.environment[name]}" for name in unnamed)
        raise UnsupportedSettingError(f"{shown}: no file of this SGLang names it, so nothing would read it")
    set_environment(settings)
    sys.path[:0] = source_dirs
    watch_imports(source_dirs)
    _define_torchvision_operators()
    import sglang

    found = Path(inspect.getfile(sglang)).resolve()
    if not any(found.is_relative_to(Path(folder).resolve()) for folder in source_dirs):
        raise SeamError(f"imported sglang from {found}, expected it below {', '.join(source_dirs)}")
    scheduler = kernel_package.import_with_kernels(_SCHEDULER_MODULE)
    if not unhooked.has_hook(scheduler.Scheduler):
        # Else imported while the scheduler is made.
        kernel_package.import_with_kernels(_RUNNER_MODULE)
        kernel_package.leave_unquantized()
        kernel_package.leave_uncompiled()
        idle_checks.let_switches_answer()
    cpu_kernels.install()
    inbox.settle_feature_transport()


def _require_unshadowed(source_dirs: Sequence[str]) -> None:
    """Raise SeamError for a folder with a module of a name that `load_common` has looked for elsewhere.

    A worker that imports everything itself takes the folder's.
    """
    for folder in source_dirs:
        own = {name.partition(".")[0] for name in os.listdir(folder)} - {""}
        if others := sorted(own & asked_for()):
            raise SeamError(f"{folder} has {', '.join(others)}, which was looked for elsewhere already")


def _define_torchvision_operators() -> None:
    """Let torchvision be imported without its compiled half, which SGLang's imports want and nothing calls.

    torchvision registers fakes for two operators that its compiled half declares; a build that does not
    match the CPU torch fails there. Declaring them first is enough.
    """
    import torch

    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        # Kept for the life of the process: the registration ends with the object.
        _TORCHVISION_LIBRARIES.append(torch.library.Library("torchvision", "DEF"))
        for name in ("nms", "qnms"):
            _TORCHVISION_LIBRARIES[-1].define(
                f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]


class FailureNote(logging.Handler):
    """Keeps what SGLang's scheduler logs as an error just before it signals its parent."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""
        logging.getLogger(_SCHEDULER_MODULE).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the newest error."""
        self.text = record.getMessage()


def check(settings: HostSettings, facts: BootFacts) -> None:
    """Refuse a worker that came up with something else than was asked for; see `Boot.check`.

    Raises:
        BootError: another tree core runs.
        UnsupportedSettingError: for the sake of the model SGLang has settled for another loop or page size.
    """
    require_rust_core(settings, facts)
    if mamba.is_on(settings.model):
        mamba.require_as_asked(settings, facts)


def refusal(text: str, settings: HostSettings) -> UnsupportedSettingError | None:
    """Return the refusal of a setting in the text of a failed boot; None when it failed otherwise."""
    # A scheduling policy has no closed list of ours: the scheduler refuses what it does not know.
    policy = {"schedule_policy": f"policy={settings.engine.get('schedule_policy')}"}
    switches = {name: shown_switch(name, value) for name, value in settings.switches.items()}
    found = refusal_in(text, {**policy, **switches})
    asked = {**settings.engine, **settings.switches}
    if found is None and hicache.is_on(asked):
        found = hicache.refusal_in(text)
    role = disaggregation.role_of(asked)
    if found is None and role:
        # Its retracted requests are kept in such a pool, too.
        found = hicache.refusal_in(text, shown_switch(disaggregation.SWITCH, role))
    if found is None and speculative.algorithm(asked):
        found = speculative.refusal_in(text, speculative.algorithm(asked))
    return found


def world(settings: HostSettings) -> World:
    """Return the ranks that such an engine has; raises UnsupportedSettingError."""
    return world_of({**settings.engine, **settings.switches})


class _InitPipe:
    """The pipe end that SGLang reports its start to."""

    def __init__(self, on_started: Callable[[], None]) -> None:
        self._on_started = on_started

    def send(self, _info: Any) -> None:
        self._on_started()


def run(
    *,
    settings: HostSettings,
    run_dir: Path,
    make_hook: Callable[[Engine], EngineHook],
    on_started: Callable[[tuple[str, ...]], None],
    place: Place = ONLY_RANK,
) -> str:
    """Boot the scheduler and run its event loop until the hook ends it with SystemExit; see `Boot.run`.

    SGLang swallows exceptions of the loop after logging them; `FailureNote` keeps their text.
    """
    module: Any = sys.modules[_SCHEDULER_MODULE]
    failure = FailureNote()
    asked = {**settings.engine, **settings.switches}
    drafts_by = speculative.algorithm(asked)
    speculative.require_script(settings.speculative_accept, asked, model=settings.model)
    write_folder = partial(
        write_model_folder,
        model=settings.model,
        emitted_token=settings.emitted_token,
        also_named="" if unhooked.has_hook(module.Scheduler) else unhooked.also_named(settings),
        heads=place.world.tp_size,
        stages=place.world.pp_size,
    )
    model_path = write_folder(run_dir / "model", role=VERIFIER if drafts_by else "")
    draft_path = write_folder(run_dir / "draft", role=DRAFT) if drafts_by else ""
    if drafts_by:
        speculative.keep_overlap()
    if mamba.is_on(settings.model):
        mamba.install()
    server_args, notes = server_arguments(
        settings.engine,
        model_path=str(model_path),
        switches=settings.switches,
        model=settings.model,
        draft_path=str(draft_path),
    )
    rooms = _install_stand_ins(asked, settings, known=known_names(type(server_args)))
    port_args = port_arguments(server_args, place.world, run_dir)
    if place.world.size > 1:
        install_for(place.world)
    _install_hook(module, make_hook, settings, rooms)
    known: Mapping[str, Any] = {
        "server_args": server_args,
        "port_args": port_args,
        "gpu_id": place.rank,
        "tp_rank": place.tp_rank,
        "pp_rank": place.pp_rank,
        "dp_rank": None,
        "pipe_writer": _InitPipe(lambda: on_started(notes)),
    }
    module.run_scheduler_process(**_fill_ranks(module.run_scheduler_process, known))
    return failure.text


def _install_stand_ins(
    asked: Mapping[str, Any], settings: HostSettings, *, known: frozenset[str]
) -> Rooms | None:
    """Put what the features that are asked for need on a machine without a GPU.

    Args:
        asked: keywords of `ServerArgs`, switches included.
        settings: all settings of the boot.
        known: keywords that this `ServerArgs` takes.

    Returns:
        the rooms of a null transfer engine; None for a scheduler that runs alone.
    """
    if hicache.is_on(asked):
        hicache.install()
    if lora.is_on(asked):
        lora.install()
    if speculative.algorithm(asked):
        speculative.install(speculative.algorithm(asked))
    if settings.model in CANARIES and disaggregation.role_of(asked):
        raise UnsupportedSettingError(
            f"model={settings.model}: its text depends on KV that a null transfer does not bring; "
            "take the model dense or hybrid_swa"
        )
    has_backups = disaggregation.has_backup_pool(asked, known=known)
    return disaggregation.install(asked, has_host_pool=has_backups)


def _fill_ranks(function: Callable[..., Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Add 0 for every further required rank: their names change between releases."""
    arguments: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in known:
            arguments[name] = known[name]
        elif parameter.default is inspect.Parameter.empty:
            if not name.endswith("_rank"):
                raise SeamError(
                    f"run_scheduler_process wants {name!r}, which no known release has; add it in {__name__}"
                )
            arguments[name] = 0
    missing = {"server_args", "port_args", "pipe_writer"} - arguments.keys()
    if missing:
        raise SeamError(f"run_scheduler_process does not take {sorted(missing)}")
    return arguments


class _TransferringHook:
    """Lets transfers go on by a step before the hook's own acts."""

    def __init__(self, hook: EngineHook, rooms: Rooms) -> None:
        self._hook, self._rooms = hook, rooms
        self.on_run_batch = hook.on_run_batch

    def step(self) -> None:
        """An iteration begins."""
        self._rooms.tick()
        self._hook.step()


def _install_hook(
    module: Any,
    make_hook: Callable[[Engine], EngineHook],
    settings: HostSettings,
    rooms: Rooms | None,
) -> None:
    def make(scheduler: Any) -> EngineHook:
        # Once the sockets are made, and before the request receiver takes them.
        engine = SGLangEngine(
            scheduler, inbox=inbox.replace_channels(scheduler), text=settings.text, rooms=rooms
        )
        if settings.model in CANARIES:
            # Only now: the module imports sglang, which a boot imports when its environment is set.
            from exhausters.engine.sglang.null_models.canary import CanaryForCausalLM

            CanaryForCausalLM.scheduler = scheduler
        if speculative.algorithm({**settings.engine, **settings.switches}):
            script = speculative.acceptance(settings.speculative_accept)
            DraftScript.current = DraftScript(scheduler, script, settings.text)
        if rooms is None:
            return make_hook(engine)
        from exhausters.engine.sglang.null_transfer import NullKVManager

        NullKVManager.scheduler = scheduler
        return _TransferringHook(make_hook(engine), rooms)

    def install(scheduler: Any) -> None:
        scheduler.scripted_scheduler_hook = make(scheduler)

    if unhooked.has_hook(module.Scheduler):
        module.Scheduler.maybe_init_scripted_scheduler_hook = install
    else:
        unhooked.install(module, make)
