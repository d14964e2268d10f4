"""Steps a scheduler of the time before the scripted hook (0.5.12 and older) at two of its own calls.

Newer SGLang calls `scripted_scheduler_hook.step()` where it begins to receive requests, and `.on_run_batch()`
where it begins to run a batch, in each of its loops. Older code has the two methods, but does not call
anybody: they are wrapped here, on the class, before the scheduler is made.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from exhausters.engine.api import EngineHook
from exhausters.engine.settings import HostSettings
from exhausters.engine.sglang.null_models import MODELS
from exhausters.errors import SeamError, UnsupportedSettingError

# Where a scheduler makes its sockets: from 0.5.7 on, and before.
_MAKE_CHANNELS = ("init_ipc_channels", "init_sockets")
_RECEIVE, _RUN = "recv_requests", "run_batch"
# Models of which a configuration lists the kind of each layer, as those of the null models do.
_WINDOW_CLASSES = ("Step3p5ForCausalLM", "GptOssForCausalLM")
# What has `recv_requests`: the scheduler itself, and since May 2026 a part of it, which its module names.
_RECEIVER = "SchedulerRequestReceiver"


def has_hook(scheduler_class: Any) -> bool:
    """Whether this SGLang calls a scripted hook itself."""
    return hasattr(scheduler_class, "maybe_init_scripted_scheduler_hook")


def also_named(settings: HostSettings) -> str:
    """Return the class that a null model must pretend to be, beside its own, to have a sliding window.

    At first SGLang knew such models by the names of their classes; that a configuration says it came in May
    2026. It takes the first class of a model that it has, and looks for these names in all of them.

    Returns:
        one of SGLang's names, or nothing where none is needed.

    Raises:
        UnsupportedSettingError: this SGLang has a window for none of the models whose layers are so laid out.
    """
    if not MODELS[settings.model].get("is_hybrid_swa"):
        return ""
    module = importlib.import_module("sglang.srt.configs.model_config")
    is_hybrid = getattr(module, "is_hybrid_swa_model", None)
    if is_hybrid is not None:
        if any("config" in name for name in inspect.signature(is_hybrid).parameters):
            return ""
        found = next((name for name in _WINDOW_CLASSES if is_hybrid([name])), None)
        if found is not None:
            return found
    raise UnsupportedSettingError(
        f"model={settings.model}: this SGLang has a pool for a sliding window for none of "
        f"{', '.join(_WINDOW_CLASSES)}; expected 0.5.8 or a newer release"
    )


def install(module: ModuleType | Any, make_hook: Callable[[Any], EngineHook]) -> None:
    """Let the schedulers of a module step a hook as those do that know of it.

    Args:
        module: SGLang's module of the scheduler; its `Scheduler` is changed, for the life of the process.
        make_hook: is given the scheduler once it has its sockets; may replace them.

    Raises:
        SeamError: one of the methods is not where it was in any known release.
    """
    scheduler = module.Scheduler
    channels = next((name for name in _MAKE_CHANNELS if hasattr(scheduler, name)), None)
    receiver = next(
        (one for one in (scheduler, getattr(module, _RECEIVER, None)) if hasattr(one, _RECEIVE)), None
    )
    missing = [
        name
        for name, found in (
            (" or ".join(_MAKE_CHANNELS), channels),
            (f"{_RECEIVE} (nor has a {_RECEIVER})", receiver),
            (_RUN, getattr(scheduler, _RUN, None)),
        )
        if found is None
    ]
    if channels is None or receiver is None or missing:
        raise SeamError(
            "this SGLang calls no scripted hook (that came with 0.5.13), and can be stepped in no other way: "
            f"its Scheduler has no {', no '.join(missing)}; the oldest release that has them is 0.5.6"
        )
    _wrap(scheduler, receiver, channels, make_hook)


def _wrap(scheduler: Any, receiver: Any, channels: str, make_hook: Callable[[Any], EngineHook]) -> None:
    hooks: list[EngineHook] = []
    make_channels, receive, run = (
        getattr(scheduler, channels),
        getattr(receiver, _RECEIVE),
        getattr(scheduler, _RUN),
    )

    def made(self: Any, *args: Any, **keywords: Any) -> None:
        make_channels(self, *args, **keywords)
        # One process has one scheduler.
        hooks[:] = [make_hook(self)]

    def received(*args: Any, **keywords: Any) -> Any:
        hooks[0].step()
        return receive(*args, **keywords)

    def ran(self: Any, batch: Any, *args: Any, **keywords: Any) -> Any:
        hooks[0].on_run_batch(batch)
        return run(self, batch, *args, **keywords)

    setattr(scheduler, channels, made)
    # A commit of May 2026 has it as a function of its own that is given the receiver.
    is_static = isinstance(inspect.getattr_static(receiver, _RECEIVE), staticmethod)
    setattr(receiver, _RECEIVE, staticmethod(received) if is_static else received)
    setattr(scheduler, _RUN, ran)
