from __future__ import annotations

from pathlib import Path

import pytest

from exhausters.errors import MirrorError
from exhausters.mirror import configured_index
from exhausters.mirror.index import PackageIndex

from .fakes import served, write_html_page, write_wheel


def test_html_page(tmp_path: Path) -> None:
    """A PEP 503 page gives file names, links and digests, and no dates."""
    wheel = write_wheel(tmp_path / "wheels", "0.5.1")
    index = PackageIndex(pages=(write_html_page(tmp_path, [wheel]),))
    (listed,) = index.wheels
    assert (listed.filename, str(listed.version), listed.uploaded) == (wheel.name, "0.5.1", None)
    assert index.download(listed, tmp_path / "fetched.whl") == listed.sha256


def test_nearer_copy_takes_the_date_of_the_public_one(tmp_path: Path) -> None:
    """A wheel that a folder and an index both have is taken once, with the index's upload time."""
    wheel = write_wheel(tmp_path, "0.5.1")
    with served([wheel], uploaded={wheel.name: "2026-01-02T03:04:05Z"}) as public:
        index = PackageIndex(pages=(write_html_page(tmp_path, [wheel]), *public._pages))
        (listed,) = index.wheels
    assert listed.url.startswith("file:")
    assert listed.uploaded is not None


def test_one_reachable_index_is_enough(tmp_path: Path) -> None:
    """An index that does not know the project does not hide one that does; without any, the error says so."""
    nowhere = (tmp_path / "nowhere").as_uri() + "/"
    page = write_html_page(tmp_path, [write_wheel(tmp_path, "0.5.1")])
    assert len(PackageIndex(pages=(nowhere, page)).wheels) == 1
    with pytest.raises(MirrorError, match="could not be fetched"):
        _ = PackageIndex(pages=(nowhere,)).wheels
    with pytest.raises(MirrorError, match="no configured package index"):
        _ = PackageIndex(pages=(), folders=(str(tmp_path / "none"),)).wheels


def test_configured_like_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip's settings decide where to look; `no-index` leaves the folders of wheels only."""
    write_wheel(tmp_path, "0.5.1")
    for name in ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert [str(wheel.version) for wheel in configured_index().wheels] == ["0.5.1"]
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.invalid/simple/")
    assert configured_index()._pages == ("https://index.invalid/simple/sglang/",)
    monkeypatch.delenv("PIP_INDEX_URL")
    (default,) = configured_index()._pages
    assert default.startswith("https://")


def test_passwords_stay_out_of_messages() -> None:
    """An index that cannot be reached is named without its password."""
    with pytest.raises(MirrorError) as caught:
        _ = PackageIndex(pages=("http://me:secret@127.0.0.1:9/simple/sglang/",)).wheels
    assert "secret" not in str(caught.value)
