"""Where the harness holds on to SGLang, and the forms each hold takes in different releases.

Features are detected, version numbers are never compared.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections import deque
from collections.abc import Mapping
from functools import cache
from typing import Any

from exhausters.errors import SeamError

STRICT_IDLE_CHECK = "SGLANG_ENABLE_STRICT_MEM_CHECK_DURING_IDLE"
TREE_SANITY_CHECK = "SGLANG_ENABLE_TREE_CACHE_SANITY_CHECK"


class Inbox:
    """Stands where the socket from the tokenizer stood; requests enter the scheduler through it.

    The scheduler polls it at the top of each iteration, right after the hook's step, and dispatches
    what it finds as if the tokenizer had sent it.
    """

    def __init__(self) -> None:
        self._messages: deque[Any] = deque()

    def put(self, message: Any) -> None:
        """Let the scheduler receive `message`, an object of SGLang's `io_struct`."""
        self._messages.append(message)

    def __len__(self) -> int:
        return len(self._messages)

    def recv_pyobj(self, flags: int = 0) -> Any:
        """Return the oldest message; raises `zmq.Again` when there is none, as a socket would."""
        return self._pop()

    def recv(self, flags: int = 0) -> bytes:
        """The same for releases that read msgpack bytes from the socket."""
        from sglang.srt.managers import io_struct

        encoded: bytes = io_struct.msgpack_encode(self._pop())
        return encoded

    def _pop(self) -> Any:
        if not self._messages:
            import zmq

            raise zmq.Again
        return self._messages.popleft()


def replace_channels(scheduler: Any) -> Inbox:
    """Close the scheduler's sockets and put an inbox in their place; nobody reads its outputs."""
    channels = getattr(scheduler, "ipc_channels", None)
    if channels is None:
        raise SeamError("the scheduler has no ipc_channels to put an inbox into")
    inbox = Inbox()
    for name, replacement in (("recv_from_tokenizer", inbox), ("recv_from_rpc", Inbox())):
        old = getattr(channels, name, None)
        if old is None:
            continue
        old.close(linger=0)
        # The record is frozen; it, or from 0.5.18 on an attribute of the scheduler beside it, is read
        # by the receiver that SGLang makes after this.
        object.__setattr__(channels, name, replacement)
        if getattr(scheduler, name, None) is old:
            setattr(scheduler, name, replacement)
    for name in ("send_to_tokenizer", "send_to_detokenizer"):
        sender = getattr(channels, name)
        if sender.socket is not None:
            sender.socket.close(linger=0)
            sender.socket = None
    return inbox


def settle_feature_transport() -> None:
    """Tell SGLang at once that tensors of multimodal requests travel in the plain way.

    It would find out at the first request, and up to 0.5.18 import the whole HTTP side for that. The
    answer makes no difference to an engine without a tokenizer.
    """
    module: Any = sys.modules.get("sglang.srt.managers.mm_utils")
    if module is not None and hasattr(module, "_is_default_tensor_transport"):
        vars(module)["_is_default_tensor_transport"] = True


def set_idle_checks(scheduler: Any, enabled: bool) -> None:
    """Turn SGLang's own checks of an idle engine on or off; withheld pages and pins look like leaks to them.

    The leak check reads its variable each time it reports, and raises or only logs. The tree's sanity check,
    which hybrid models run, reads one too from 0.5.19 on; before, it has no switch and is stood in for on the
    cache object itself.
    """
    value = "1" if enabled else "0"
    os.environ[STRICT_IDLE_CHECK] = value
    os.environ[TREE_SANITY_CHECK] = value
    tree = scheduler.tree_cache
    if enabled:
        vars(tree).pop("sanity_check", None)
    elif hasattr(tree, "sanity_check"):
        tree.sanity_check = _no_check


def _no_check() -> None:
    """Stand in for a check that cannot hold while something is withheld."""


@cache
def _parameters(cls: Any) -> Mapping[str, inspect.Parameter]:
    # Once for each class: a msgspec structure evaluates all its type hints to answer this.
    return inspect.signature(cls).parameters


def construct(cls: Any, wanted: Mapping[str, Any]) -> Any:
    """Make an `io_struct` message from those of the wanted keywords that this release has.

    Raises:
        SeamError: the release requires a keyword that is not among them.
    """
    parameters = _parameters(cls)
    given = {name: value for name, value in wanted.items() if name in parameters}
    missing = [
        name
        for name, parameter in parameters.items()
        if name not in given
        and parameter.default is inspect.Parameter.empty
        and parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    ]
    if missing:
        raise SeamError(f"{cls.__name__} requires {missing}, which the harness does not know; add them")
    return cls(**given)


def facts(scheduler: Any) -> dict[str, Any]:
    """Describe what was booted, in plain values."""
    import platform

    import sglang
    import torch

    tree = scheduler.tree_cache
    core = getattr(tree, "tree_core", None)
    return {
        "pid": os.getpid(),
        "sglang_version": str(getattr(sglang, "__version__", "unknown")),
        "python_version": platform.python_version(),
        "torch_version": str(torch.__version__),
        "tree_cache": type(tree).__name__,
        "tree_core": type(core).__name__ if core is not None else "none",
        "allocator": type(scheduler.token_to_kv_pool_allocator).__name__,
        "page_size": int(scheduler.page_size),
        "max_total_tokens": int(scheduler.max_total_num_tokens),
        "max_running_requests": int(scheduler.max_running_requests),
        "overlap": bool(scheduler.enable_overlap),
        "policy": str(scheduler.schedule_policy),
    }
