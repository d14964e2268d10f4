"""One engine of SGLang's disaggregated pair (`disaggregation_mode`), with nothing on its other side.

SGLang chooses the classes of its transfer engine by the name of a backend, at the moment it needs them. The
null transfer engine stands in the place of one of them; queues, event loops and everything else are SGLang's.
Two more stand-ins, only where torch sees no GPU: events that order copies on a GPU's streams, and what the
pool in host memory needs that a decode engine backs retracted requests up to (see hicache.py).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from exhausters.engine.api import DECODE_ROLE, PREFILL_ROLE
from exhausters.engine.sglang import hicache
from exhausters.engine.sglang.rooms import Rooms
from exhausters.engine.sglang.switches import shown_switch
from exhausters.errors import SeamError, UnsupportedSettingError

SWITCH = "disaggregation_mode"
#: What a request is sent with: any name that is not that of SGLang's own fake.
HOST = "null"

_BACKEND_SWITCH = "disaggregation_transfer_backend"
# The backend in whose place the null one stands: real to the scheduler, which makes nothing of it at boot.
_BACKEND = "nixl"
_UTILS, _PACKAGE = "sglang.srt.disaggregation.utils", "sglang.srt.disaggregation.nixl"
_PREFIX = "Nixl"
_RETRACTION = "disaggregation_decode_retraction_backup"
_HOST_POOL = "host_pool"
# Switches that need what is not here, with the reason.
_REFUSED: Mapping[str, str] = {
    "disaggregation_decode_enable_offload_kvcache": "it works in threads of its own",
    "disaggregation_enable_kv_checksum": "its checksums are computed on a GPU",
    "enable_pd_role_switch": "the engine would become another one while it is measured",
    "disaggregation_ib_device": "nothing is transferred",
}
_REQUIRED: Mapping[str, Any] = {
    "disaggregation_decode_host_receive_threshold": 1,
    "disaggregation_decode_allocation_policy": "early",
}


def role_of(arguments: Mapping[str, Any]) -> str:
    """`prefill` or `decode`, as keywords of `ServerArgs` ask for; empty when they ask for neither."""
    asked = arguments.get(SWITCH)
    return str(asked) if asked in (PREFILL_ROLE, DECODE_ROLE) else ""


def completed(arguments: Mapping[str, Any], *, known: Sequence[str] | frozenset[str]) -> dict[str, Any]:
    """Return the keywords that an engine of a pair needs beside those that are given; none without a role.

    Args:
        arguments: keywords of `ServerArgs` that are given.
        known: keywords that this `ServerArgs` takes.

    Raises:
        UnsupportedSettingError: another backend, or a switch that needs what is not here.
    """
    role = role_of(arguments)
    if not role:
        return {}
    backend = arguments.get(_BACKEND_SWITCH, _BACKEND)
    if backend != _BACKEND:
        raise UnsupportedSettingError(
            f"{shown_switch(_BACKEND_SWITCH, backend)}: a null transfer engine stands in the place of "
            f"{_BACKEND!r}, and there is no other; leave it out"
        )
    for name, why in _REFUSED.items():
        if arguments.get(name):
            raise UnsupportedSettingError(f"{shown_switch(name, arguments[name])}: {why}; leave it out")
    for name, value in _REQUIRED.items():
        given = arguments.get(name, value)
        if given != value:
            raise UnsupportedSettingError(
                f"{shown_switch(name, given)}: the null transfer engine does not do this; expected {value!r}"
            )
    added = {_BACKEND_SWITCH: _BACKEND}
    if has_backup_pool(arguments, known=known):
        added |= hicache.copies_without_a_gpu(arguments, known=known)
    return added


def has_backup_pool(arguments: Mapping[str, Any], *, known: Sequence[str] | frozenset[str]) -> bool:
    """Tell whether retracted requests are backed up to a pool in host memory, as newer releases do."""
    if role_of(arguments) != DECODE_ROLE or _RETRACTION not in known:
        return False
    return bool(arguments.get(_RETRACTION, _HOST_POOL) == _HOST_POOL)


def install(arguments: Mapping[str, Any], *, has_host_pool: bool) -> Rooms | None:
    """Put the null transfer engine in its place; returns its rooms, None without a role.

    Args:
        arguments: keywords of `ServerArgs` that are given.
        has_host_pool: whether retracted requests are backed up to host memory.

    Raises:
        SeamError: SGLang does not choose its transfer engine in the way that is known.
        UnsupportedSettingError: this SGLang lacks something that the role needs.
    """
    role = role_of(arguments)
    if not role:
        return None
    if has_host_pool:
        hicache.install()
    _install_events()
    rooms = Rooms()
    _install_classes(rooms, role)
    return rooms


def _install_classes(rooms: Rooms, role: str) -> None:
    try:
        utils: Any = importlib.import_module(_UTILS)
        parent: Any = importlib.import_module(_PACKAGE.rpartition(".")[0])
    except ImportError as error:
        raise UnsupportedSettingError(
            f"{shown_switch(SWITCH, role)}: this SGLang's {_UTILS} cannot be imported: {error}"
        ) from error
    # The package itself imports what its backend needs; modules of it are still found in its folder.
    package = ModuleType(_PACKAGE)
    package.__path__ = [f"{folder}/{_PACKAGE.rpartition('.')[2]}" for folder in parent.__path__]
    sys.modules[_PACKAGE] = package
    # Only now: the module imports sglang, which a boot imports when its environment is set.
    from exhausters.engine.sglang.null_transfer import CLASSES, NullKVManager

    NullKVManager.rooms = rooms
    for name, made in CLASSES.items():
        setattr(package, f"{_PREFIX}{name}", made)
    backend, kinds = utils.TransferBackend(_BACKEND), utils.KVClassType
    for kind, name in ((kinds.MANAGER, "KVManager"), (kinds.SENDER, "KVSender")):
        if utils.get_kv_class(backend, kind) is not CLASSES[name]:
            raise SeamError(f"get_kv_class does not take {_PREFIX}{name} from {_PACKAGE}")


class _NoEvent:
    """An event of a GPU's stream where there is none: whatever it would wait for has happened."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def record(self, *_: Any) -> None:
        pass

    def wait(self, *_: Any) -> None:
        pass

    def synchronize(self) -> None:
        pass

    def query(self) -> bool:
        return True


def _nothing_to_wait_for(_device: Any = None) -> None:
    """Stand in for waiting for a device that is not there."""


def _install_events() -> None:
    """Stand in for what orders copies on a GPU: nothing here is under way when the next call begins.

    A prefill engine's early sends of cached prefixes wait for a forward by an event. Before 0.5.13 a decode
    engine waits for the whole device when it backs up a retracted request.
    """
    import torch

    if not torch.cuda.is_available():
        torch.cuda.Event = _NoEvent
        torch.cuda.synchronize = _nothing_to_wait_for
