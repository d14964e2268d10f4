from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from .fakes import answering, folder_index, served, silent, write_wheel


def test_wheels_are_reproducible(tmp_path: Path) -> None:
    """The fake wheel of a release is the same file wherever it is written."""
    first, second = (write_wheel(tmp_path / name, "0.5.1") for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_served_index_hands_out_the_wheel(tmp_path: Path) -> None:
    """The fake index lists what it was given, with upload times, and serves the same bytes."""
    wheel = write_wheel(tmp_path, "0.5.1")
    with served([wheel], uploaded={wheel.name: "2026-01-02T03:04:05.678901Z"}) as index:
        listed = index.wheels[0]
        digest = index.download(listed, tmp_path / "fetched.whl")
    assert listed.uploaded is not None
    assert listed.uploaded.isoformat() == "2026-01-02T03:04:05.678901+00:00"
    assert digest == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_folder_index_knows_no_dates(tmp_path: Path) -> None:
    """A folder of wheels lists them without an upload time."""
    write_wheel(tmp_path, "0.5.1")
    assert [wheel.uploaded for wheel in folder_index(tmp_path).wheels] == [None]


def test_failing_servers() -> None:
    """The fake servers fail as they are told to: with a status, or by saying nothing."""
    with answering(503) as place, pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://{place}/simple/sglang/")
    assert caught.value.code == 503
    with silent() as place, pytest.raises(TimeoutError):
        urllib.request.urlopen(f"http://{place}/", timeout=0.2)
