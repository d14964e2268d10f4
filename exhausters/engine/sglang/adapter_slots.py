"""The slots of LoRA adapters: SGLang's memory pool of adapters, its loads, and slots that are kept.

`lora_manager.memory_pool` has `max_loras_per_batch` slots. A batch needs one for each adapter that its
requests name, the base model (None) among them; who is not in a slot is loaded when its batch is about to
run, and the least recently used goes. An adapter that is pinned stays: so a slot is kept by a pinned adapter
that no request names. Adapters are null: registered by the manager's own call, without a weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from exhausters.engine.api import AdapterListener
from exhausters.engine.sglang import lora
from exhausters.engine.sglang.requests import iter_begun
from exhausters.engine.wrap import wrap_calls
from exhausters.errors import AllocationShortError, SeamError

_KEPT = "kept-by-the-harness"
_CONFIG = {
    "peft_type": "LORA",
    "r": lora.RANK,
    "lora_alpha": lora.RANK,
    "target_modules": list(lora.TARGET_MODULES),
}


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """Pinned adapters that keep a slot each."""

    refs: tuple[Any, ...]


class SGLangAdapterSlots:
    """`exhausters.engine.api.AdapterSlots` over the LoRA manager of a scheduler."""

    # SGLang refuses to pin the last one.
    never_taken_slots = 1

    def __init__(self, scheduler: Any, manager: Any) -> None:
        self._scheduler = scheduler
        self._manager = manager
        self._kept: set[str] = set()
        self._named = 0

    @property
    def _pool(self) -> Any:
        return self._manager.memory_pool

    @property
    def total_slots(self) -> int:
        """Slots in all."""
        return int(self._pool.max_loras_per_batch)

    def free_slots(self) -> int:
        """Slots that no running request needs and nobody keeps."""
        return self.total_slots - len(self._kept) - len(self._in_use())

    def empty_slots(self) -> int:
        """Slots with nothing in them."""
        return self.total_slots - len(self._pool.uid_to_buffer_id)

    def resident_adapters(self) -> int:
        """Adapters in a slot, the base model among them, without those that keep one."""
        return sum(one not in self._kept for one in self._pool.uid_to_buffer_id)

    def _in_use(self) -> set[str | None]:
        """Adapters that requests which have begun need, in this step or the next."""
        return {req.lora_id for req in iter_begun(self._scheduler) if not req.finished()}

    def know(self, name: str) -> None:
        """Register an adapter of this name, as SGLang's server does before it lets a request name it."""
        if name not in self._manager.lora_refs:
            self._register(name, pinned=False)

    def _register(self, name: str, *, pinned: bool) -> Any:
        from sglang.srt.lora.lora_registry import LoRARef

        # No file has this path: the adapter has no weights.
        ref = LoRARef(lora_id=name, lora_name=name, lora_path=f"null/{name}", pinned=pinned)
        result = self._manager.load_lora_adapter_from_tensors(ref, {}, dict(_CONFIG))
        if not result.success:
            raise SeamError(f"adapter {name!r}: SGLang does not take it: {result.error_message}")
        return ref

    def take(self, count: int) -> object:
        """Pin adapters that nobody names, and put each into a slot."""
        free = self.free_slots()
        refs: list[Any] = []
        try:
            if count > free:
                raise SeamError(f"only {free} are free")
            for _ in range(count):
                self._named += 1
                ref = self._register(f"{_KEPT}-{self._named}", pinned=True)
                refs.append(ref)
                self._kept.add(ref.lora_id)
                self._manager.fetch_new_loras({ref.lora_id}, self._in_use())
        except (SeamError, ValueError, AssertionError) as error:
            self._unload(refs)
            raise AllocationShortError(
                f"wanted {count} adapter slots of {free} free ones: {error}",
                wanted_tokens=count,
                given_tokens=0,
                available_tokens=free,
            ) from error
        return _Taken(tuple(refs))

    def give_back(self, taking: Any) -> None:
        """Unload the adapters of one taking."""
        self._unload(list(taking.refs))

    def _unload(self, refs: list[Any]) -> None:
        for ref in reversed(refs):
            result = self._manager.unload_lora_adapter(ref)
            if not result.success:
                raise SeamError(f"adapter {ref.lora_id!r} cannot be unloaded: {result.error_message}")
            self._kept.discard(ref.lora_id)

    def forget(self) -> None:
        """Unload every adapter and leave what a boot leaves: the base model in its slot, all others empty.

        For an idle engine: what a script loaded must not be there for the next.
        """
        self._unload([ref for ref in list(self._manager.lora_refs.values()) if ref.lora_id not in self._kept])
        self._manager.fetch_new_loras({None})
        drainer = getattr(self._scheduler, "lora_drainer", None)
        if drainer is not None:
            drainer.adapter_to_stats.clear()

    def watch(self, listener: AdapterListener) -> Callable[[], None]:
        """Tell `listener` of each load into a slot."""
        return wrap_calls(
            self._pool, "load_lora_weight_to_buffer", lambda _result, _name: listener.on_adapter_load()
        )


def open_adapter_slots(scheduler: Any) -> SGLangAdapterSlots | None:
    """Return the adapter slots of a scheduler; None when LoRA is off.

    Raises:
        SeamError: LoRA is on, and its manager lacks what is needed here.
    """
    if not getattr(scheduler, "enable_lora", False):
        return None
    worker = getattr(scheduler, "tp_worker", None)
    manager = getattr(getattr(worker, "model_runner", None), "lora_manager", None)
    missing = list(_missing(manager))
    if missing:
        raise SeamError(f"LoRA is on, and {type(manager).__name__} has no {', '.join(missing)}")
    return SGLangAdapterSlots(scheduler, manager)


def _missing(manager: Any) -> Iterator[str]:
    for name in ("memory_pool", "lora_refs", lora.REGISTER, "unload_lora_adapter"):
        if not hasattr(manager, name):
            yield name


def adapters_in(requests: list[Any]) -> int:
    """Different adapters that requests name."""
    return len({req.lora_id for req in requests})
