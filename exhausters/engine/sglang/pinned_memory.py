"""Stand-ins for memory that is pinned for a device, where there is none to pin it for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def leave_tensors_unpinned() -> None:
    """Let a tensor's `pin_memory` give the tensor itself: what it would be copied from serves as well."""
    import torch

    torch.Tensor.pin_memory = _itself


def _itself(tensor: Any, *_device: Any) -> Any:
    return tensor


def without_pinning(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return a constructor of tensors that does not pin them, whatever it is asked."""

    def make_unpinned(*values: Any, pin_memory: bool = False, **keywords: Any) -> Any:
        return make(*values, **keywords)

    return make_unpinned
