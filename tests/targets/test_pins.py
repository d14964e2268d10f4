from __future__ import annotations

from pathlib import Path

import pytest

from exhausters.errors import MissingModuleError, TargetError, UsageError
from exhausters.targets.distributions import DISTRIBUTIONS, explain_missing_module, normalised
from exhausters.targets.pins import (
    DEFAULT_TORCH,
    Pins,
    pins_for,
    read_statement,
    statement_from_metadata,
    statement_from_pyproject,
)

METADATA = """\
Metadata-Version: 2.4
Name: sglang
Version: 0.5.99
Requires-Python: >=3.10,<4
Requires-Dist: IPython
Requires-Dist: transformers==5.19.0
Requires-Dist: partial_json_parser
Requires-Dist: uvicorn[standard]>=0.51,<1
Requires-Dist: compressed-tensors==0.18.0
Requires-Dist: torch==2.14.1
Requires-Dist: pillow==1.0; python_version < "3"
Requires-Dist: numpy==1.0; extra == "test"
Requires-Dist: flash-attn-4>=4.0.0b18

Requires-Dist: einops==0.0.1 is prose here, not a header
"""

PYPROJECT = """\
[project]
name = "sglang"
dynamic = ["version"]
requires-python = ">=3.11"
dependencies = [
  "transformers==5.12.1",
  "xgrammar==0.2.1",
  "torch==2.13.0",
  "numpy>=2 ; python_version >= '3'",
]
[project.optional-dependencies]
test = ["scipy==0.1"]
"""


def metadata_pins() -> Pins:
    return pins_for(statement_from_metadata(METADATA, source="M"))


def test_pins_follow_metadata() -> None:
    """A release gets the versions it states, however it spells the names."""
    pins = metadata_pins()
    assert {"transformers==5.19.0", "ipython", "partial-json-parser", "uvicorn<1,>=0.51"} <= set(pins.full)
    assert "compressed-tensors==0.18.0" in pins.bare


def test_pins_follow_pyproject() -> None:
    """A checkout gets the versions its pyproject states."""
    pins = pins_for(statement_from_pyproject(PYPROJECT, source="P"))
    assert {"transformers==5.12.1", "numpy>=2", "scipy"} <= set(pins.full)
    assert "xgrammar==0.2.1" in pins.bare


def test_markers_and_extras_are_honoured() -> None:
    """What applies to another Python, to an extra, or stands in the README is not installed."""
    assert {"pillow", "numpy", "einops"} <= set(metadata_pins().full)


def test_only_the_table_is_installed() -> None:
    """A CPU machine never downloads what the table does not list, such as GPU kernels."""
    named = {normalised(line.split("=")[0].split("<")[0].split(" ")[0]) for line in metadata_pins().lines()}
    assert named == {normalised(line.name) for line in DISTRIBUTIONS}


def test_torch_is_not_the_targets() -> None:
    """The CUDA pin of the target is replaced by the one version proven with all releases."""
    assert DEFAULT_TORCH in metadata_pins().full
    assert "torch==2.14.1" not in metadata_pins().full


def test_torch_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """EXHAUSTERS_TORCH replaces the requirement on torch."""
    monkeypatch.setenv("EXHAUSTERS_TORCH", "torch>=2.12,<2.13")
    assert "torch<2.13,>=2.12" in metadata_pins().full


@pytest.mark.parametrize("text", ["2.12.0", "numpy==2", "torch=2.13"])
def test_bad_torch_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped EXHAUSTERS_TORCH is named, not swallowed."""
    monkeypatch.setenv("EXHAUSTERS_TORCH", text)
    with pytest.raises(UsageError, match="EXHAUSTERS_TORCH='" + text.replace(".", r"\.")):
        metadata_pins()


def test_lines_tell_bare_from_full() -> None:
    """The pins that reach a record say which were installed without dependencies."""
    lines = Pins(full=("b",), bare=("a==1",)).lines()
    assert lines == ("a==1 --no-deps", "b")


def test_metadata_wins_over_pyproject(tmp_path: Path) -> None:
    """An installed release is read from its METADATA even if a pyproject lies beside it."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    assert read_statement(tmp_path).version is None
    (tmp_path / "sglang-0.5.99.dist-info").mkdir()
    (tmp_path / "sglang-0.5.99.dist-info" / "METADATA").write_text(METADATA)
    assert read_statement(tmp_path).version == "0.5.99"


def test_no_statement_is_an_error(tmp_path: Path) -> None:
    """Sources without stated requirements are refused; nobody's versions are guessed for them."""
    with pytest.raises(TargetError, match="states no requirements"):
        read_statement(tmp_path)


@pytest.mark.parametrize("text", ["not = toml = at all", '[project]\ndependencies = ["a ==== b"]'])
def test_broken_pyproject_is_named(text: str) -> None:
    """A file that cannot be parsed is named in the error."""
    with pytest.raises(TargetError, match=r"some/pyproject\.toml"):
        statement_from_pyproject(text, source="some/pyproject.toml")


def test_table_has_each_distribution_and_module_once() -> None:
    """One line per distribution: a second one could silently contradict it."""
    names = [normalised(line.name) for line in DISTRIBUTIONS]
    modules = [module for line in DISTRIBUTIONS for module in line.modules]
    assert len(names) == len(set(names))
    assert len(modules) == len(set(modules))


@pytest.mark.parametrize(
    ("module", "stated", "distribution"),
    [
        ("cv2", (), "opencv-python-headless"),
        ("partial_json_parser.core", (), "partial-json-parser"),
        ("kernels", ("Kernels",), "Kernels"),
        ("tml_renderers.x", ("tml-renderers",), "tml-renderers"),
        ("never_seen", ("numpy",), "never_seen"),
        ("sglang.srt.gone", (), "sglang"),
    ],
)
def test_missing_module(module: str, stated: tuple[str, ...], distribution: str) -> None:
    """A failed import names the module and the distribution that is believed to provide it."""
    error = explain_missing_module(module, stated=stated)
    assert isinstance(error, MissingModuleError)
    assert (error.module, error.distribution) == (module, distribution)
    assert module in str(error)


def test_missing_module_names_the_place() -> None:
    """The error for an unlisted module names an existing file and the table in it."""
    message = str(explain_missing_module("never_seen"))
    assert "DISTRIBUTIONS in exhausters/targets/distributions.py" in message
    file = Path(__file__).parents[2] / "exhausters/targets/distributions.py"
    assert "\nDISTRIBUTIONS: " in file.read_text()
