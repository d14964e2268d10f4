from __future__ import annotations

from pathlib import Path

import pytest

from exhausters.errors import MirrorError
from exhausters.mirror import configured_index
from exhausters.mirror.index import PackageIndex
from exhausters.mirror.transport import Transport

from .fakes import answering, served, silent, write_html_page, write_wheel


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


@pytest.fixture
def page(tmp_path: Path) -> str:
    """The project's page in an index that has one release."""
    return write_html_page(tmp_path, [write_wheel(tmp_path / "wheels", "0.5.1")])


def test_one_index_that_knows_the_project_is_enough(page: str, tmp_path: Path) -> None:
    """An index that does not know the project does not hide one that does; without any, the error says so."""
    unknown = (tmp_path / "simple" / "nowhere").as_uri() + "/"
    assert len(PackageIndex(pages=(unknown, page)).wheels) == 1
    with pytest.raises(MirrorError, match=r"no configured package index .*asked: file:.*nowhere"):
        _ = PackageIndex(pages=(unknown,)).wheels
    with pytest.raises(MirrorError, match=r"no configured package index .*none is configured"):
        _ = PackageIndex(pages=()).wheels


@pytest.mark.parametrize("status", [404, 410, 403])
def test_ways_of_not_knowing_a_project(page: str, status: int) -> None:
    """The statuses with which indexes say that they do not have a project leave it to the others."""
    with answering(status) as place:
        assert len(PackageIndex(pages=(f"http://{place}/simple/sglang/", page)).wheels) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 429, 401, 403])
def test_one_failing_index_is_an_error(page: str, status: int) -> None:
    """Releases never go missing because one index of several failed; it is named without its password."""
    with answering(status) as place, pytest.raises(MirrorError) as caught:
        _ = PackageIndex(pages=(page, f"http://me:secret@{place}/simple/sglang/")).wheels
    message = str(caught.value)
    assert message.startswith(f"http://***@{place}/simple/sglang/: could not be fetched (HTTP Error {status}")
    assert "expected a page of the simple API; check the network" in message
    assert "secret" not in message


def test_silent_index_is_an_error(page: str) -> None:
    """An index that does not answer in time fails, however many others do."""
    with silent() as place, pytest.raises(MirrorError, match=f"{place}.*timed out"):
        _ = PackageIndex(
            pages=(page, f"http://{place}/simple/sglang/"), transport=Transport({"UV_HTTP_TIMEOUT": "0.2"})
        ).wheels


def test_missing_folders_are_errors(page: str, tmp_path: Path) -> None:
    """An index or wheels on a disk that is not mounted are missed, not passed over."""
    gone = tmp_path / "unmounted"
    with pytest.raises(MirrorError, match=r"unmounted/simple/sglang/index\.html: could not be fetched"):
        _ = PackageIndex(pages=(page, f"{gone.as_uri()}/simple/sglang/")).wheels
    with pytest.raises(MirrorError, match=r"find-links .*unmounted: no such folder"):
        _ = PackageIndex(pages=(page,), folders=(str(gone),)).wheels


def test_missing_page_of_links_is_an_error(page: str) -> None:
    """A page of links is for all projects: that it is not there never means that the project is not."""
    with answering(404) as place, pytest.raises(MirrorError) as caught:
        _ = PackageIndex(pages=(page,), links=(f"http://me:secret@{place}/links.html",)).wheels
    assert str(caught.value).startswith(f"find-links http://***@{place}/links.html: no such page")


@pytest.mark.parametrize("entry", [{"upload-time": "yesterday"}, {"hashes": None}])
def test_page_that_is_none(tmp_path: Path, entry: dict[str, object]) -> None:
    """A page that is not as the simple API has it is an error of this project's own."""
    with served([write_wheel(tmp_path, "0.5.1")], uploaded={}, **entry) as index:
        pages = tuple(page.replace("://", "://me:secret@") for page in index._pages)
        with pytest.raises(MirrorError, match="expected a project page") as caught:
            _ = PackageIndex(pages=pages).wheels
    assert "secret" not in str(caught.value)


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
    monkeypatch.setenv("PIP_FIND_LINKS", f"https://index.invalid/links.html {tmp_path}")
    assert configured_index()._links == ("https://index.invalid/links.html",)


def test_passwords_stay_out_of_messages() -> None:
    """An index that cannot be reached is named without its password."""
    with pytest.raises(MirrorError) as caught:
        _ = PackageIndex(pages=("http://me:secret@127.0.0.1:9/simple/sglang/",)).wheels
    assert "secret" not in str(caught.value)
