"""What drafts add to a boot, what is refused before it, and what the torch versions of kernels compute."""

from __future__ import annotations

from typing import Any

import pytest

from exhausters.engine.sglang import speculative
from exhausters.errors import UnsupportedSettingError, UsageError

_KNOWN = frozenset(
    {
        "speculative_draft_model_path",
        "speculative_num_steps",
        "speculative_eagle_topk",
        "speculative_num_draft_tokens",
        "speculative_ngram_min_bfs_breadth",
        "speculative_ngram_max_bfs_breadth",
    }
)


def _completed(**given: Any) -> dict[str, Any]:
    return speculative.completed(given, known=_KNOWN, draft_path="/draft")


def test_nothing_is_set_while_nothing_drafts() -> None:
    """A boot without an algorithm has no keyword that it would not have otherwise."""
    assert _completed() == _completed(speculative_num_steps=4) == {}


def test_a_draft_model_and_a_chain_are_set() -> None:
    """The null draft is the draft model, and drafts are a chain of three where nothing is said."""
    chain = {"speculative_num_steps": 3, "speculative_eagle_topk": 1, "speculative_num_draft_tokens": 4}
    assert _completed(speculative_algorithm="eagle") == {"speculative_draft_model_path": "/draft", **chain}
    longer = _completed(speculative_algorithm="STANDALONE", speculative_num_steps=5)
    assert longer["speculative_num_draft_tokens"] == 6
    assert _completed(speculative_algorithm="NGRAM") == dict.fromkeys(
        ("speculative_ngram_min_bfs_breadth", "speculative_ngram_max_bfs_breadth"), 1
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"speculative_algorithm": "DFLASH"},
            "DFLASH: its worker has no stand-ins here; expected one of EAGLE",
        ),
        ({"speculative_algorithm": "EAGLE", "speculative_adaptive": True}, "adaptive=true: which drafts are"),
    ],
)
def test_what_has_no_stand_in_is_refused(given: dict[str, Any], said: str) -> None:
    """Another worker, or an option that would decide what the script decides, is a typed error."""
    with pytest.raises(UnsupportedSettingError, match=said):
        _completed(**given)


def test_a_script_that_nothing_follows_is_refused() -> None:
    """A script without drafts, one that makes no sense, and trees for a canary are typed errors."""
    with pytest.raises(UnsupportedSettingError, match="nothing drafts, so nothing would follow it"):
        speculative.require_script("constant:1", {}, model="dense")
    with pytest.raises(UsageError, match="expected all, constant:N"):
        speculative.require_script("constant", {"speculative_algorithm": "EAGLE"}, model="dense")
    tree = {"speculative_algorithm": "EAGLE", "speculative_eagle_topk": 2}
    with pytest.raises(UnsupportedSettingError, match="the model canary reads chains of drafts"):
        speculative.require_script("", tree, model="canary")
    speculative.require_script("all", tree, model="dense")


def test_a_boot_that_lacks_a_kernel_is_a_refusal() -> None:
    """A boot that lacks a GPU in a file of drafts is a refusal; one that fails otherwise is a fault."""
    text = 'Traceback (most recent call last):\n  File "/x/{}.py", line 3, in f\n    g()\n{}'
    refused = speculative.refusal_in(text.format("speculative/eagle", "ImportError: no sgl_kernel"), "EAGLE")
    assert refused is not None
    assert "does not come up on this machine with this SGLang: ImportError: no sgl_kernel" in str(refused)
    assert speculative.refusal_in(text.format("radix_cache", "ImportError: no sgl_kernel"), "EAGLE") is None
    assert speculative.refusal_in(text.format("speculative/eagle", "ValueError: no"), "EAGLE") is None
