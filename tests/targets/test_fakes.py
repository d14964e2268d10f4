from __future__ import annotations

import sys
from pathlib import Path

import pytest

from exhausters.errors import InstallError

from .fakes import FakeInstaller


def test_unpacks_only_the_releases_it_was_given(tmp_path: Path) -> None:
    """The fake refuses an unknown release in uv's own words, so that not-found is told from failure."""
    fake = FakeInstaller(transformers_of={"1.0": "9.9"})
    fake.install(["sglang==1.0"], python=Path(sys.executable), with_dependencies=False, folder=tmp_path)
    assert "transformers==9.9" in (tmp_path / "sglang-1.0.dist-info" / "METADATA").read_text()
    with pytest.raises(InstallError, match=r"no version of\ssglang==2.0"):
        fake.install(["sglang==2.0"], python=Path(sys.executable), folder=tmp_path)


def test_environment_has_a_python_that_runs(tmp_path: Path) -> None:
    """The fake's environment passes for usable, as a real one does."""
    FakeInstaller().create_environment(tmp_path, python=Path(sys.executable))
    assert (tmp_path / "bin" / "python").resolve() == Path(sys.executable).resolve()
