"""What LoRA needs on a CPU, and what is refused before a boot."""

from __future__ import annotations

from typing import Any

import pytest

from exhausters.engine.sglang import lora
from exhausters.engine.sglang.pinned_memory import without_pinning
from exhausters.errors import UnsupportedSettingError

_KNOWN = frozenset({"enable_lora", "max_lora_rank", "lora_target_modules", "lora_backend"})


def test_nothing_is_added_while_it_is_off() -> None:
    """An engine without LoRA is given no keyword of it."""
    assert lora.completed({"lora_backend": "csgmv"}, known=_KNOWN) == {}


def test_what_it_needs_is_added_and_what_is_given_stays() -> None:
    """Rank, target modules and backend are set unless the grid sets them; unknown keywords are left out."""
    given = {"enable_lora": True, "max_lora_rank": 16}
    assert lora.completed(given, known=_KNOWN - {"lora_backend"}) == {
        "lora_target_modules": list(lora.TARGET_MODULES)
    }
    assert lora.completed({"enable_lora": True}, known=_KNOWN)["lora_backend"] == "torch_native"


@pytest.mark.parametrize(
    ("switch", "said"),
    [
        ({"lora_backend": "csgmv"}, "server_args.lora_backend=csgmv: its kernels are a GPU's"),
        (
            {"enable_lora_overlap_loading": True},
            "server_args.enable_lora_overlap_loading=true: it loads on a",
        ),
    ],
)
def test_what_needs_a_gpu_is_refused(switch: dict[str, Any], said: str) -> None:
    """The switch, the reason, and what to do."""
    with pytest.raises(UnsupportedSettingError, match=said):
        lora.completed({"enable_lora": True, **switch}, known=_KNOWN)


def test_a_constructor_is_not_asked_to_pin() -> None:
    """Everything but `pin_memory` reaches the constructor."""
    made = without_pinning(lambda *values, **keywords: (values, keywords))
    assert made(1, 2, pin_memory=True, dtype="int32") == ((1, 2), {"dtype": "int32"})
