"""Speculative decoding with a null draft, on a machine without a GPU.

SGLang's own workers run (EAGLE, STANDALONE, NGRAM), with its own batches, allocation, verification, release.
While `speculative_algorithm` is given, and only then, these stand-ins are installed:

* torch versions of the kernels that its workers launch (`speculative_kernels.py`);
* a draft attention backend with as many steps as there are, none of which computes anything;
* for NGRAM a corpus that proposes what the script says;
* drafts are compared greedily, as SGLang's own build for CPUs does;
* nothing is compiled, and no tensor is told of the stream that uses it;
* the overlap loop stays on where it is asked for: SGLang turns it off for drafts on a CPU.

See docs/speculative.md.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import sys
import types
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from exhausters.engine.acceptance import DEFAULT, Acceptance, parse_acceptance
from exhausters.engine.settings import CANARIES, MAMBA_MODELS
from exhausters.engine.sglang.boot_failure import LACKS, lacking
from exhausters.engine.sglang.drafts import reserves_ahead
from exhausters.engine.sglang.switches import shown_switch
from exhausters.errors import UnsupportedSettingError

SWITCH = "speculative_algorithm"
#: The setting of a boot that says which drafts are right.
ACCEPT = "speculative_accept"
_WITH_DRAFT_MODEL = ("EAGLE", "STANDALONE")
_NGRAM = "NGRAM"
# What has a worker of its own that is imported here; importing them imports all that they use.
_WORKERS: Mapping[str, tuple[str, ...]] = {
    "EAGLE": ("sglang.srt.speculative.eagle_worker_v2",),
    "STANDALONE": ("sglang.srt.speculative.standalone_worker_v2",),
    _NGRAM: ("sglang.srt.speculative.ngram_worker",),
}
_ARGUMENT_HOOK = "sglang.srt.arg_groups.speculative_hook"
_OVERLAP_OFF = "_disable_overlap_schedule_for_cpu"
_PAIR, _ALONE = "disaggregation_mode", "null"
_KERNEL_PACKAGE = "sgl_kernel"
_NATIVE_MOVE = "SGLANG_NATIVE_MOVE_KV_CACHE"
# What a boot says beside that fails for want of a GPU's kernels.
_LACKS = (*LACKS, "no stand-in", "triton", "driver")
# Used where a script or grid says nothing of the shape of its drafts.
_STEPS = 3
_CHAIN = 1


def algorithm(arguments: Mapping[str, Any]) -> str:
    """Return the algorithm that keywords of `ServerArgs` ask for, in capitals; empty for none."""
    return str(arguments.get(SWITCH) or "").upper()


def completed(arguments: Mapping[str, Any], *, known: Collection[str], draft_path: str) -> dict[str, Any]:
    """Return the keywords that drafts need on a CPU beside those that are given; none without an algorithm.

    Args:
        arguments: keywords of `ServerArgs` that are given.
        known: keywords that this `ServerArgs` takes.
        draft_path: folder of the null draft.

    Raises:
        UnsupportedSettingError: an algorithm without stand-ins, or an option of one that has none.
    """
    asked = algorithm(arguments)
    if not asked:
        return {}
    if asked not in _WORKERS:
        raise UnsupportedSettingError(
            f"{shown_switch(SWITCH, arguments[SWITCH])}: its worker has no stand-ins here; expected one of "
            f"{', '.join(_WORKERS)}"
        )
    for name in ("speculative_adaptive", "speculative_use_rejection_sampling", "enable_multi_layer_eagle"):
        if arguments.get(name):
            raise UnsupportedSettingError(
                f"{shown_switch(name, arguments[name])}: which drafts are right is scripted; leave it out"
            )
    added: dict[str, Any] = {}
    if asked in _WITH_DRAFT_MODEL:
        added["speculative_draft_model_path"] = draft_path
        if arguments.get("speculative_num_steps") is None:
            added["speculative_num_steps"] = _STEPS
        if arguments.get("speculative_eagle_topk") is None:
            added["speculative_eagle_topk"] = _CHAIN
        if arguments.get("speculative_num_draft_tokens") is None:
            added["speculative_num_draft_tokens"] = int(arguments.get("speculative_num_steps") or _STEPS) + 1
    else:
        for name in ("speculative_ngram_min_bfs_breadth", "speculative_ngram_max_bfs_breadth"):
            if arguments.get(name) is None:
                added[name] = _CHAIN
    return {name: value for name, value in added.items() if name in known}


def acceptance(text: str) -> Acceptance:
    """Return the script of right drafts that a setting names, its default when it is empty."""
    return parse_acceptance(text or DEFAULT)


def require_script(text: str, arguments: Mapping[str, Any], *, model: str) -> None:
    """Refuse a script that makes no sense, or that nothing would follow.

    Raises:
        UsageError: a text that names no script.
        UnsupportedSettingError: no drafts are made, or a canary is to verify a tree of them.
    """
    asked = algorithm(arguments)
    if text:
        parse_acceptance(text)
        if not asked:
            raise UnsupportedSettingError(
                f"{ACCEPT}={text}: nothing drafts, so nothing would follow it; give server_args.{SWITCH} too"
            )
    if asked and model in MAMBA_MODELS:
        raise UnsupportedSettingError(
            f"{shown_switch(SWITCH, arguments[SWITCH])}: was not run with recurrent states, which drafts "
            f"would have to be taken out of again; take another model than {model}"
        )
    if asked and arguments.get(_PAIR, _ALONE) != _ALONE:
        raise UnsupportedSettingError(
            f"{shown_switch(SWITCH, arguments[SWITCH])}: was not run on an engine of a disaggregated pair; "
            f"drop it, or {_PAIR}"
        )
    topk = arguments.get("speculative_eagle_topk")
    if asked in _WITH_DRAFT_MODEL and model in CANARIES and topk not in (None, _CHAIN):
        raise UnsupportedSettingError(
            f"{shown_switch('speculative_eagle_topk', topk)}: the model {model} reads chains of drafts, "
            "and no trees of them; expected 1, or another model"
        )


def keep_overlap() -> None:
    """Let SGLang take the overlap loop with drafts on a CPU; before its arguments are made."""
    with contextlib.suppress(ImportError):
        hook = importlib.import_module(_ARGUMENT_HOOK)
        if hasattr(hook, _OVERLAP_OFF):
            setattr(hook, _OVERLAP_OFF, lambda _server_args: None)


def install(asked: str) -> tuple[str, ...]:
    """Put the stand-ins of an algorithm where SGLang looks them up; returns what was replaced.

    Raises:
        UnsupportedSettingError: this SGLang has no worker for it that could be imported, or one of another
            form.
    """
    from exhausters.engine.sglang import speculative_stand_ins as stand_ins

    if not reserves_ahead():
        raise UnsupportedSettingError(
            f"{shown_switch(SWITCH, asked)}: this SGLang allocates for drafts in its workers, which was not "
            "run; take 0.5.13 or newer"
        )
    for name in _WORKERS[asked]:
        _import_worker(name, asked)
    replaced = [*stand_ins.install_kernels(), *stand_ins.replace_everywhere(stand_ins.FUNCTIONS)]
    stand_ins.give_tree_kernel()
    os.environ[_NATIVE_MOVE] = "1"
    _compile_nothing()
    _record_no_stream()
    if asked == _NGRAM:
        _install_corpus()
        replaced.append("NgramCorpus")
    else:
        factory: Any = importlib.import_module("sglang.srt.speculative.draft_utils").DraftBackendFactory
        factory.create_decode_backend = stand_ins.create_decode_backend
        factory.create_draft_extend_backend = lambda _factory: None
        replaced.append("DraftBackendFactory")
    return tuple(replaced)


def _import_worker(name: str, asked: str) -> None:
    try:
        try:
            importlib.import_module(name)
        except ImportError as error:
            if _KERNEL_PACKAGE not in str(error):
                raise
            with _kernel_package():
                importlib.import_module(name)
    except ImportError as error:
        raise UnsupportedSettingError(
            f"{shown_switch(SWITCH, asked)}: this SGLang's worker could not be imported: {error}"
        ) from error


def _compile_nothing() -> None:
    """Run what SGLang compiles as it is written: a compiler takes a minute, and computes the same."""
    import torch._dynamo

    torch._dynamo.config.disable = True


def _record_no_stream() -> None:
    """Let tensors be told which stream uses them: older releases tell those on a CPU too, which have none."""
    import torch

    if not torch.cuda.is_available():
        torch.Tensor.record_stream = lambda _tensor, _stream: None


class _Kernels(types.ModuleType):
    """A package of kernels of which every name is there, to be imported and never called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def kernel(*_arguments: Any, **_keywords: Any) -> Any:
            raise NotImplementedError(f"{self.__name__}.{name} has no stand-in on a machine without a GPU")

        return kernel


@contextlib.contextmanager
def _kernel_package() -> Iterator[None]:
    """Let modules be imported that take names from SGLang's kernel package, which is not here."""
    names = (_KERNEL_PACKAGE, f"{_KERNEL_PACKAGE}.speculative")
    made = {name: _Kernels(name) for name in names}
    made[_KERNEL_PACKAGE].__path__ = []  # a package
    sys.modules.update(made)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def _install_corpus() -> None:
    from exhausters.engine.sglang.draft_script import NullCorpus

    worker: Any = importlib.import_module(_WORKERS[_NGRAM][0])
    corpus = getattr(worker, "NgramCorpus", None)
    given = inspect.signature(corpus.batch_get).parameters if corpus is not None else {}
    if "req_ids" not in given:
        raise UnsupportedSettingError(
            f"{shown_switch(SWITCH, _NGRAM)}: this SGLang's corpus is not asked for a request's drafts by "
            "its id, so none can be scripted; take a newer one"
        )
    worker.NgramCorpus = NullCorpus


# Files that a boot without drafts does not run.
_FILES = ("/speculative/", "speculative_hook")


def refusal_in(text: str, asked: str) -> UnsupportedSettingError | None:
    """Return what a failed boot with drafts says; None when it fails for another reason than a missing GPU.

    Args:
        text: SGLang's own traceback.
        asked: the algorithm.
    """
    return lacking(text, shown_switch(SWITCH, asked), files=_FILES, words=_LACKS)
