from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from exhausters.errors import TargetSpecError
from exhausters.targets.target_spec import (
    NEWEST_RELEASE,
    SUPPORTED_RELEASES,
    parse_target,
)


def test_release() -> None:
    """A release is named by its canonical version, however it was spelled."""
    spec = parse_target(" release:0.5.13-post1 ")
    assert (spec.kind, spec.version, spec.text) == ("release", "0.5.13.post1", "release:0.5.13.post1")


def test_unsupported_release_is_accepted() -> None:
    """A release newer than this project's list can be tried."""
    assert parse_target("release:99.1").version == "99.1"


def test_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same folder has the same name from wherever it is named."""
    monkeypatch.chdir(tmp_path)
    assert parse_target("path:here") == parse_target(f"path:{tmp_path / 'here'}")


@pytest.mark.parametrize(
    ("text", "directory", "revision"),
    [
        ("git:/r@main", "/r", "main"),
        ("git:/with@sign/r@v1", "/with@sign/r", "v1"),
        ("git:/r@HEAD@{2}", "/r", "HEAD@{2}"),
        ("git:/r@main~3^{commit}", "/r", "main~3^{commit}"),
    ],
)
def test_git(text: str, directory: str, revision: str) -> None:
    """Folder and revision are split where git users expect, `@` in either included."""
    spec = parse_target(text)
    assert (spec.kind, spec.directory, spec.revision) == ("git", Path(directory), revision)
    assert spec.text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.5.23",
        "release:",
        "release:newest one",
        "release:0.5.13..0.5.23",
        "wheel:x.whl",
        "git:/r",
        "git:/r@",
        "git:/r@--output=x",
        "git:https://host/r@main",
        "git:git@host:r.git@main",
    ],
)
def test_refuses_what_names_no_target(text: str) -> None:
    """A bad target is refused by name, with the forms that are expected, and is a ValueError."""
    with pytest.raises(TargetSpecError, match="expected") as caught:
        parse_target(text)
    assert repr(text) in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_supported_releases_are_in_order() -> None:
    """Ranges and "newest" rest on the list being in version order without repetition."""
    versions = [Version(text) for text in SUPPORTED_RELEASES]
    assert versions == sorted(set(versions))
    assert str(max(versions)) == NEWEST_RELEASE
