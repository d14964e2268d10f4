"""Which ranks a set of engine keywords asks for, and which of them cannot be run here."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exhausters.engine.api.ranks import ALONE, World
from exhausters.errors import UnsupportedSettingError

# Keywords of `ServerArgs` that make ranks here.
TP_SIZE, PP_SIZE, DP_SIZE, DP_ATTENTION = "tp_size", "pp_size", "dp_size", "enable_dp_attention"
# Newer releases have a keyword of its own for groups of attention.
ATTENTION_DP_SIZE = "attn_dp_size"
# More have not been run: each is a process of its own, and they iterate in lockstep.
MAX_RANKS = 2
# Cores for OpenMP by rank: without it SGLang wants a NUMA node for each. Kernels read it that are not here.
_THREADS = "SGLANG_CPU_OMP_THREADS_BIND"
# What was not run with several ranks.
_OF_ONE_RANK = (
    "disaggregation_mode",
    "enable_lora",
    "enable_hierarchical_cache",
    "speculative_algorithm",
    "enable_streaming_session",
)
_OFF = (None, False, "null")
# Only where there are several tokenizers.
_OF_TOKENIZERS = "tokenizer_worker_ipc_name"
_ATTENTION = "sglang.srt.layers.attention.torch_native_backend"
_PADDING = "sglang.srt.model_executor.forward_batch_info"
_FILL_VALUES = ("get_cuda_graph_seq_len_fill_value", "get_cpu_graph_seq_len_fill_value")


def world_of(arguments: Mapping[str, Any]) -> World:
    """Return the ranks that keywords of `ServerArgs` ask for, with a port of this machine.

    Raises:
        UnsupportedSettingError: names the keyword, and why it cannot be run here.
    """
    sizes = {name: _size(name, arguments.get(name)) for name in (TP_SIZE, PP_SIZE)}
    tp_size, pp_size = sizes[TP_SIZE], sizes[PP_SIZE]
    dp_size = _groups(arguments, tp_size)
    if tp_size * pp_size == 1:
        return ALONE
    if tp_size * pp_size > MAX_RANKS:
        shown = ", ".join(f"{name}={size}" for name, size in sizes.items() if size > 1)
        raise UnsupportedSettingError(
            f"{shown}: {tp_size * pp_size} ranks; expected at most {MAX_RANKS}, each is a process of its own"
        )
    for name in _OF_ONE_RANK:
        if arguments.get(name) not in _OFF:
            raise UnsupportedSettingError(
                f"{name}={arguments[name]!r}: was not run with several ranks; drop it, or the ranks"
            )
    return World(tp_size=tp_size, pp_size=pp_size, dp_size=dp_size, port=free_port())


def _groups(arguments: Mapping[str, Any], tp_size: int) -> int:
    """How many groups of tensor-parallel ranks have requests of their own."""
    dp_size = _size(DP_SIZE, arguments.get(DP_SIZE))
    groups = _size(ATTENTION_DP_SIZE, arguments.get(ATTENTION_DP_SIZE))
    if arguments.get(DP_ATTENTION):
        groups = max(groups, dp_size)
    elif dp_size > 1:
        raise UnsupportedSettingError(
            f"{DP_SIZE}={dp_size}: replicas without {DP_ATTENTION} share nothing, not even steps; run one "
            f"cell for each, or add {DP_ATTENTION}"
        )
    if groups > 1 and groups != tp_size:
        raise UnsupportedSettingError(
            f"{DP_SIZE}={groups}: expected {TP_SIZE}, which is {tp_size}: one rank for each group"
        )
    return groups


def _size(name: str, value: Any) -> int:
    if value is None:
        return 1
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UnsupportedSettingError(f"{name}={value!r}: expected an integer >= 1")
    return value


def free_port() -> int:
    """Return a port of this machine that nothing uses."""
    # The kernel gives each worker its own: two that boot at once must not meet.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def install_for(world: World) -> None:
    """Put what several ranks need on a machine without a GPU.

    * A core for each rank, where the environment names none.
    * With groups of attention, batches are padded to the longest of all ranks, through pinned memory unless
      the module knows of a CPU; older ones do not ask. What a padded request has for a length is asked of the
      attention backend by two names, of which the plain one in torch knows none.
    """
    os.environ.setdefault(_THREADS, "|".join(_cores(world)))
    if world.dp_size > 1:
        padding: Any = importlib.import_module(_PADDING)
        if hasattr(padding, "_is_cpu"):
            padding._is_cpu = True
        else:
            padding.torch = _Unpinned(padding.torch)
        attention: Any = importlib.import_module(_ATTENTION)
        backend = attention.TorchNativeAttnBackend
        for name in _FILL_VALUES:
            if name not in vars(backend):
                setattr(backend, name, _one)


def _cores(world: World) -> list[str]:
    """A core for each rank; releases up to 0.5.18 count those of one stage."""
    numa: Any = importlib.import_module("sglang.srt.utils.numa_utils")
    bind = getattr(numa, "init_threads_binding", None)
    counts_all = bind is not None and "world_size" in inspect.signature(bind).parameters
    cores = sorted(os.sched_getaffinity(0))
    return [str(cores[one % len(cores)]) for one in range(world.size if counts_all else world.tp_size)]


class _Unpinned:
    """`torch` for a module that pins tensors without asking whether there is a device to pin them for."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._torch, name)

    def tensor(self, *args: Any, pin_memory: bool = False, **keywords: Any) -> Any:
        """Make a tensor in ordinary memory."""
        return self._torch.tensor(*args, **keywords)


def _one(_backend: object) -> int:
    """Length of a request that is only there to fill a batch."""
    return 1


def port_arguments(server_args: Any, world: World, run_dir: Path) -> Any:
    """Return SGLang's `PortArgs`; `run_dir` has the files of its sockets."""
    from sglang.srt.server_args import PortArgs

    if world.dp_size > 1:
        port_args = _local_port_arguments(PortArgs, run_dir)
    else:
        port_args = PortArgs.init_new(server_args)
    # SGLang looks for a free port from a fixed start; two workers that boot at once would both take
    # the first. The kernel gives each its own, and all ranks of one engine have the same.
    port_args.nccl_port = world.port or free_port()
    return port_args


def _local_port_arguments(port_args_class: Any, run_dir: Path) -> Any:
    """Make `PortArgs` with a file of `run_dir` for each socket.

    With groups of attention SGLang takes TCP ports at fixed distances from the server's, and waits until they
    are free; nobody is at the other end of any of them here.
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(port_args_class):
        if field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING:
            continue
        is_socket = field.name.endswith("ipc_name") and field.name != _OF_TOKENIZERS
        values[field.name] = f"ipc://{run_dir / field.name}" if is_socket else None
    return port_args_class(**values)
