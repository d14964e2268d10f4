"""Engines are found by name, and what the parent needs of one loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from exhausters.engine.api import Boot
from exhausters.engine.load import ambient_prefixes, load_boot
from exhausters.engine.settings import MODELS
from exhausters.engine.sglang.null_models import MODELS as NULL_MODELS

if TYPE_CHECKING:
    # mypy checks this file: every boot module is a `Boot`, which `load_boot` takes on trust.
    from exhausters.engine.fake import boot as fake_boot
    from exhausters.engine.sglang import boot as sglang_boot

    _FAKE: Boot = fake_boot
    _SGLANG: Boot = sglang_boot


def test_an_engine_is_found_by_name() -> None:
    """The fake engine's boot has everything that the worker asks of a boot."""
    boot = load_boot("fake")
    asked = [name for name in vars(Boot) if not name.startswith("_")]
    assert asked
    assert all(callable(getattr(boot, name)) for name in asked)


def test_an_engine_that_is_not_there() -> None:
    """An unknown name is an ImportError that names it."""
    with pytest.raises(ImportError, match="none_such"):
        load_boot("none_such")


def test_what_a_worker_does_not_inherit_is_up_to_its_engine() -> None:
    """Each engine has its own prefixes, and one that does not exist has none: its worker reports the lack."""
    assert ambient_prefixes("sglang") == ambient_prefixes() == ("SGLANG_", "SGL_")
    assert ambient_prefixes("none_such") == ()


def test_the_parent_reads_only_names_of_sglang() -> None:
    """The prefixes of SGLang's variables are there without sglang, torch or the rest of the package."""
    code = (
        "import sys; from exhausters.engine.load import ambient_prefixes; print(ambient_prefixes()); "
        "heavy = ('sglang', 'torch', 'exhausters.engine.sglang.'); "
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == [str(ambient_prefixes()), "['exhausters.engine.sglang.environment']"]


def test_every_model_that_settings_name_exists() -> None:
    """The list that grids are checked against is the list of null models."""
    assert tuple(NULL_MODELS) == MODELS
