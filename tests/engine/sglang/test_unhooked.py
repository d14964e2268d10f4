"""How a scheduler without a scripted hook is stepped, on classes of that shape.

What is true of SGLang's own releases is in `tests/releases/test_reached_releases.py`.
"""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from exhausters.engine.sglang import kernel_package, unhooked
from exhausters.engine.sglang.holdings import Holders
from exhausters.engine.sglang.inbox import Inbox, replace_channels
from exhausters.errors import SeamError


class _Hook:
    def __init__(self, scheduler: Any) -> None:
        self.seen: list[object] = [scheduler]

    def step(self) -> None:
        self.seen.append("step")

    def on_run_batch(self, native: Any) -> None:
        self.seen.append(native)


def _module(*, receives: str) -> Any:
    """A module with a scheduler whose one iteration is `once`; it receives itself, or lets a part of it."""

    class Receiver:
        def recv_requests(self) -> list[str]:
            return ["received"]

    class Scheduler:
        def init_ipc_channels(self, port: int) -> None:
            self.port = port

        def run_batch(self, batch: str, more: int = 0) -> tuple[str, int]:
            return batch, more

    if receives == "itself":
        Scheduler.recv_requests = Receiver.recv_requests  # type: ignore[attr-defined]
        return SimpleNamespace(Scheduler=Scheduler)
    return SimpleNamespace(Scheduler=Scheduler, SchedulerRequestReceiver=Receiver)


def _started(module: Any) -> tuple[Any, list[_Hook]]:
    """A scheduler of the module that has its channels, and the hooks that were made of it."""
    hooks: list[_Hook] = []

    def make(scheduler: Any) -> _Hook:
        hooks.append(_Hook(scheduler))
        return hooks[-1]

    unhooked.install(module, make)
    scheduler = module.Scheduler()
    scheduler.init_ipc_channels(7)
    return scheduler, hooks


@pytest.mark.parametrize("receives", ["itself", "a part of it"])
def test_each_iteration_steps_the_hook_before_it_receives(receives: str) -> None:
    """The hook is made once there are channels, stepped before each receiving, and shown each batch."""
    module = _module(receives=receives)
    assert not unhooked.has_hook(module.Scheduler)
    scheduler, hooks = _started(module)
    receiver = scheduler if receives == "itself" else module.SchedulerRequestReceiver()
    assert receiver.recv_requests() == ["received"]
    assert scheduler.run_batch("batch", more=3) == ("batch", 3)
    assert scheduler.port == 7
    assert hooks[0].seen == [scheduler, "step", "batch"]


def test_a_function_that_is_given_the_receiver_stays_one() -> None:
    """A commit of May 2026 calls `self.recv_requests(receiver)`: it steps as others, and gets no `self`."""
    module = _module(receives="itself")
    module.Scheduler.recv_requests = staticmethod(lambda receiver: [receiver])
    scheduler, hooks = _started(module)
    assert scheduler.recv_requests("the receiver") == ["the receiver"]
    assert hooks[0].seen == [scheduler, "step"]


@pytest.mark.parametrize("name", ["init_ipc_channels", "run_batch", "recv_requests"])
def test_a_scheduler_without_the_method_is_refused_by_its_name(name: str) -> None:
    """What cannot be stepped is refused before it boots, and nothing of it is changed."""
    module = _module(receives="itself")
    delattr(module.Scheduler, name)
    before = dict(vars(module.Scheduler))
    with pytest.raises(SeamError, match=f"no .*{name}"):
        unhooked.install(module, _Hook)
    assert dict(vars(module.Scheduler)) == before


def test_channels_on_the_scheduler_itself_are_replaced() -> None:
    """Before there was a record of channels they were attributes of the scheduler."""
    closed: list[int] = []
    socket = SimpleNamespace(close=lambda linger: closed.append(linger))
    scheduler = SimpleNamespace(
        recv_from_tokenizer=socket,
        recv_from_rpc=socket,
        send_to_tokenizer=SimpleNamespace(socket=socket),
        send_to_detokenizer=SimpleNamespace(socket=socket),
    )
    inbox = replace_channels(scheduler)
    assert scheduler.recv_from_tokenizer is inbox
    assert isinstance(scheduler.recv_from_rpc, Inbox)
    assert scheduler.send_to_detokenizer.socket is None
    assert len(closed) == 4


def test_a_kernel_that_is_called_says_so() -> None:
    """Whatever is imported of the kernel package can be named, and refuses to be called."""
    kernel: Any = kernel_package.Kernel("sgl_kernel.attention")
    assert kernel.table.entry is not None
    with pytest.raises(SeamError, match=r"sgl_kernel\.attention\.table\.entry: a CUDA kernel was called"):
        kernel.table.entry(1, more=2)
    with pytest.raises(ModuleNotFoundError):
        kernel_package.import_with_kernels("no_such_package.at_all")
    assert not kernel_package.stands_in_for("no_such_package")


def test_only_what_was_imported_in_vain_is_stood_in_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is stood in for has every name; whoever looks for another of its package finds none."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    before = set(sys.modules)
    try:
        module = kernel_package.import_with_kernels("vllm.model_executor.layers.activation")
        assert kernel_package.stands_in_for("vllm")
        assert isinstance(module.SiluAndMul, kernel_package.Kernel)
        with pytest.raises(ImportError):
            importlib.import_module("vllm.logger")
        with pytest.raises(AttributeError):
            sys.modules["vllm"]._custom_ops  # noqa: B018
    finally:
        for name in set(sys.modules) - before:
            del sys.modules[name]


def test_a_row_that_was_given_back_is_in_use_no_more() -> None:
    """Where a pool takes back numbers alone, requests that finished go on naming their row."""

    class Pool:
        def free(self, free_index: int) -> None: ...

    def req(allocated: int, *, is_freed: bool) -> Any:
        return SimpleNamespace(
            req_pool_idx=3, kv_allocated_len=allocated, cache_protected_len=16, kv_committed_freed=is_freed
        )

    reqs = [req(40, is_freed=False), req(40, is_freed=True), req(0, is_freed=False)]
    scheduler = SimpleNamespace(
        page_size=16,
        req_to_token_pool=Pool(),
        running_batch=SimpleNamespace(reqs=reqs),
        last_batch=None,
        chunked_req=None,
    )
    assert Holders(scheduler).in_use() == (48 - 16, 1)
