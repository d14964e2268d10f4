"""Stand-ins for SGLang's Rust tree core, which hands out numbers and cannot be walked, and for its cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.engine.sglang.shapes import FakeReceipt, FakeTree, Slots


@dataclass(frozen=True)
class CanaryRows:
    """What the handle core's token walk returns."""

    slot_indices: Slots
    positions: Slots
    prev_slot_indices: Slots


class FakeHandleCore:
    """A core of numbers without a walk, as the released Rust core, over a `FakeTree`.

    Attributes:
        questions: how often it was asked whether a number is a node.
        denied: live nodes that it says do not exist.
    """

    def __init__(self, tree: FakeTree, *, first_number: int = 1) -> None:
        self.tree = tree
        self.questions = 0
        self.denied: set[int] = set()
        self._offset = first_number
        self._slots: dict[int, Slots] = {}
        next_slot = 1
        for node in tree.nodes.values():
            self._slots[node.id] = Slots(range(next_slot, next_slot + len(node.key)))
            next_slot += len(node.key)

    @property
    def root_node(self) -> Any:
        raise NotImplementedError("root_node: not ported")

    def root_node_handle(self) -> int:
        return self._offset

    def is_full_device_evicted(self, number: int) -> bool:
        self.questions += 1
        if number in self.denied or number - self._offset not in self.tree.nodes:
            raise KeyError(number)
        return False

    def get_component_device_value(self, number: int, component: int) -> Slots:
        assert component == 0
        return self._slots[number - self._offset]

    def total_size(self) -> tuple[int, int]:
        return sum(len(slots) for slots in self._slots.values()), 0

    def protected_size(self) -> int:
        return sum(len(node.key) for node in self.tree.nodes.values() if node.lock_ref > 0)

    def walk_for_kv_canary(self, unlocked_only: bool, swa_resident_only: bool) -> CanaryRows:
        assert not swa_resident_only
        slots, before = Slots(), Slots()
        for node in self.tree.nodes.values():
            own = self._slots[node.id]
            if not own or (unlocked_only and node.lock_ref > 0):
                continue
            above = node.parent
            assert above is not None
            start = -1 if above is self.tree.root_node else self._slots[above.id][-1]
            slots.extend(own)
            before.extend([start, *own[:-1]])
        return CanaryRows(slots, Slots(), before)


class FakeHandleCache:
    """A cache over `FakeHandleCore`; lock calls take numbers and demand receipts."""

    def __init__(self, tree: FakeTree, *, first_number: int = 1) -> None:
        self.tree_core = FakeHandleCore(tree, first_number=first_number)
        self.tree_components = (0,)
        self.disable = False
        self.page_size = 1
        self._tree = tree
        self._offset = first_number

    def inc_lock_ref(self, number: int) -> FakeReceipt:
        return self._tree.inc_lock_ref(self._tree.nodes[number - self._offset])

    def dec_lock_ref(self, number: int, params: FakeReceipt) -> None:
        self._tree.dec_lock_ref(self._tree.nodes[number - self._offset], params)

    def evictable_size(self) -> int:
        return self._tree.evictable_size()
