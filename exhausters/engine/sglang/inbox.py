"""Where requests enter the scheduler: an inbox in the place of its sockets."""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

from exhausters.errors import SeamError


class Inbox:
    """Replaces the socket from the tokenizer; requests enter the scheduler through it.

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
    # A record of them since May 2026; before, they are on the scheduler itself.
    channels = getattr(scheduler, "ipc_channels", scheduler)
    if not hasattr(channels, "recv_from_tokenizer"):
        raise SeamError("the scheduler has no recv_from_tokenizer to put an inbox into")
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
