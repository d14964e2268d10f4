from __future__ import annotations

import base64
from pathlib import Path

import pytest
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from exhausters.errors import MirrorError
from exhausters.mirror import configured_index
from exhausters.mirror.index import PackageIndex
from exhausters.mirror.session import session_for

from .fakes import answering, served, silent, write_html_index, write_wheel


def test_html_page(tmp_path: Path) -> None:
    """A PEP 503 page gives file names, links and digests, and no dates."""
    wheel = write_wheel(tmp_path / "wheels", "0.5.1")
    index = PackageIndex(indexes=(write_html_index(tmp_path, [wheel]),))
    (listed,) = index.wheels
    assert (listed.filename, str(listed.version), listed.uploaded) == (wheel.name, "0.5.1", None)
    assert index.download(listed, tmp_path / "fetched.whl") == listed.sha256


def test_nearer_copy_takes_the_date_of_the_public_one(tmp_path: Path) -> None:
    """A wheel that a folder and an index both have is taken once, with the index's upload time."""
    wheel = write_wheel(tmp_path, "0.5.1")
    with served([wheel], uploaded={wheel.name: "2026-01-02T03:04:05Z"}) as public:
        index = PackageIndex(indexes=(write_html_index(tmp_path, [wheel]), *public.indexes))
        (listed,) = index.wheels
    assert listed.url.startswith("file:")
    assert listed.uploaded is not None


def test_page_of_links(tmp_path: Path) -> None:
    """A page of links is read by the names of the files, whatever its links say."""
    wheel = write_wheel(tmp_path, "0.5.1")
    page = tmp_path / "links.html"
    page.write_text(f'<a href="{wheel.name}">sglang-0.5.1-py3-no..&gt;</a> <a href="../">up</a>')
    (listed,) = PackageIndex(links=(page.as_uri(),)).wheels
    assert (listed.filename, listed.url, listed.sha256) == (wheel.name, wheel.as_uri(), None)


@pytest.fixture
def index(tmp_path: Path) -> str:
    """An index that has one release, in a folder."""
    return write_html_index(tmp_path, [write_wheel(tmp_path / "wheels", "0.5.1")])


def test_one_index_that_knows_the_project_is_enough(index: str, tmp_path: Path) -> None:
    """An index that does not know the project does not hide one that does; without any, the error says so."""
    (tmp_path / "nowhere").mkdir()
    unknown = (tmp_path / "nowhere").as_uri()
    assert len(PackageIndex(indexes=(unknown, index)).wheels) == 1
    with pytest.raises(MirrorError, match=r"no configured package index .*asked: file:.*nowhere"):
        _ = PackageIndex(indexes=(unknown,)).wheels
    with pytest.raises(MirrorError, match=r"no configured package index .*none is configured"):
        _ = PackageIndex(indexes=()).wheels


@pytest.mark.parametrize("status", [404, 410, 403])
def test_ways_of_not_knowing_a_project(index: str, status: int) -> None:
    """The statuses with which indexes say that they do not have a project leave it to the others."""
    with answering(status) as place:
        assert len(PackageIndex(indexes=(f"http://{place}/simple", index)).wheels) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 429, 401, 403])
def test_one_failing_index_is_an_error(index: str, status: int) -> None:
    """Releases never go missing because one index of several failed; it is named without its password."""
    with answering(status) as place, pytest.raises(MirrorError) as caught:
        _ = PackageIndex(indexes=(index, f"http://me:secret@{place}/simple")).wheels
    message = str(caught.value)
    assert message.startswith(f"http://***@{place}/simple/sglang/: could not be fetched ({status} ")
    assert "expected a page of the simple API; check the network" in message
    assert "secret" not in message


def test_silent_index_is_an_error(index: str) -> None:
    """An index that does not answer in time fails, however many others do."""
    with silent() as place, pytest.raises(MirrorError, match=f"{place}.*timed out"):
        _ = PackageIndex(
            indexes=(index, f"http://{place}/simple"), environment={"UV_HTTP_TIMEOUT": "0.2"}
        ).wheels


def test_missing_folders_are_errors(index: str, tmp_path: Path) -> None:
    """An index or wheels on a disk that is not mounted are missed, not passed over."""
    gone = tmp_path / "unmounted"
    with pytest.raises(MirrorError, match=r"unmounted/simple/sglang/: could not be fetched"):
        _ = PackageIndex(indexes=(index, f"{gone.as_uri()}/simple")).wheels
    with pytest.raises(MirrorError, match=r"find-links .*unmounted: no such folder"):
        _ = PackageIndex(indexes=(index,), folders=(str(gone),)).wheels


def test_missing_page_of_links_is_an_error(index: str) -> None:
    """A page of links is for all projects: that it is not there never means that the project is not."""
    with answering(404) as place, pytest.raises(MirrorError) as caught:
        _ = PackageIndex(indexes=(index,), links=(f"http://me:secret@{place}/links.html",)).wheels
    assert str(caught.value).startswith(f"find-links http://***@{place}/links.html: no such page")


@pytest.mark.parametrize("entry", [{"upload-time": "yesterday"}, {"hashes": None}])
def test_page_that_is_none(tmp_path: Path, entry: dict[str, object]) -> None:
    """A page that is not as the simple API has it is an error of this project's own."""
    with served([write_wheel(tmp_path, "0.5.1")], uploaded={}, **entry) as index:
        urls = tuple(url.replace("://", "://me:secret@") for url in index.indexes)
        with pytest.raises(MirrorError, match="expected a page of the simple API") as caught:
            _ = PackageIndex(indexes=urls).wheels
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
    assert configured_index().indexes == ("https://index.invalid/simple/",)
    monkeypatch.delenv("PIP_INDEX_URL")
    (default,) = configured_index().indexes
    assert default.startswith("https://")
    monkeypatch.setenv("PIP_FIND_LINKS", f"https://index.invalid/links.html {tmp_path}")
    assert configured_index().links == ("https://index.invalid/links.html",)


def test_passwords_stay_out_of_messages() -> None:
    """An index that cannot be reached is named without its password."""
    with pytest.raises(MirrorError) as caught:
        _ = PackageIndex(indexes=("http://me:secret@127.0.0.1:9/simple",)).wheels
    assert "secret" not in str(caught.value)


def test_password_from_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that the user's netrc file has for an index's host is sent, as pip sends it."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen: list[str | None] = []
    wheel = write_wheel(tmp_path, "0.5.1")
    with served([wheel], uploaded={}, authorizations=seen) as index:
        index.download(index.wheels[0], tmp_path / "fetched.whl")
    assert set(seen) == {"Basic " + base64.b64encode(b"me:secret").decode()}


def test_download_that_ends_early(tmp_path: Path) -> None:
    """A connection that ends before the file does is an error, also where the index gives no digest."""
    with served([write_wheel(tmp_path, "0.5.1")], uploaded={}, missing_bytes=9, hashes={}) as index:
        (listed,) = index.wheels
        with pytest.raises(
            MirrorError, match=r"0\.5\.1-py3-none-any\.whl: could not be fetched .*9 more expected"
        ):
            index.download(listed, tmp_path / "fetched.whl")


def test_session_is_configured_like_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates and proxies reach the session; only the hosts that the user trusts go unverified."""
    sent: list[tuple[str | None, object]] = []

    def send(self: HTTPAdapter, request: PreparedRequest, **options: object) -> Response:
        sent.append((request.url, options["verify"]))
        answer = Response()
        answer.request, answer.url, answer.status_code = request, str(request.url), 200
        return answer

    monkeypatch.setattr(HTTPAdapter, "send", send)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    session = session_for(
        {"SSL_CERT_FILE": "/ca.pem", "HTTPS_PROXY": "http://proxy:1", "UV_INSECURE_HOST": "a b:8443"}
    )
    urls = ("https://a/simple/", "https://a:8443/", "https://b:8443/", "https://b/", "https://a.b/")
    for url in urls:
        session.get(url)
    assert sent == list(zip(urls, (False, False, False, "/ca.pem", "/ca.pem"), strict=True))
    assert session.proxies["https"] == "http://proxy:1"
