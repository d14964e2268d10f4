from __future__ import annotations

from pathlib import Path

import pytest

from exhausters.errors import MirrorError, TargetNotFoundError, TargetSpecError
from exhausters.mirror import mirror_clone, mirror_releases, parse_range
from exhausters.targets import git

from .fakes import answering, folder_index, write_wheel

IDENTITY = ("-c", "user.name=n", "-c", "user.email=e@e")


def ask(directory: Path, *arguments: str) -> str:
    return git.run_git(["-C", str(directory), *arguments])


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A repository with releases v0.5.1 to v0.5.4, another kind of tag, and work after the last release."""
    folder = tmp_path / "upstream"
    (folder / "python" / "sglang" / "srt").mkdir(parents=True)
    ask(tmp_path, "init", "--quiet", "--initial-branch=trunk", str(folder))
    ask(folder, "config", "uploadpack.allowFilter", "true")
    ask(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    for number in range(1, 6):
        (folder / "python" / "sglang" / "__init__.py").write_text(f"number = {number}\n")
        (folder / "docs.md").write_text(f"big {number}\n")
        ask(folder, "add", ".")
        ask(folder, *IDENTITY, "commit", "--quiet", "-m", f"number {number}")
        if number < 5:
            ask(folder, "tag", f"v0.5.{number}")
    ask(folder, "tag", "gateway-v1")
    return folder


def test_local_clone_without_a_network(upstream: Path, tmp_path: Path) -> None:
    """A local clone serves a range of releases with upstream's own commit ids, complete in itself."""
    report = mirror_clone(str(upstream), "0.5.2..0.5.3", tmp_path / "m.git")
    assert report.tags == ("v0.5.2", "v0.5.3")
    assert ask(tmp_path / "m.git", "rev-parse", "HEAD") == ask(upstream, "rev-parse", "v0.5.3")
    upstream.rename(tmp_path / "gone")
    ask(tmp_path / "m.git", "fsck", "--full")
    assert ask(tmp_path / "m.git", "rev-list", "--first-parent", "v0.5.2..main").count("\n") == 0


def test_url_fetches_only_what_the_range_needs(upstream: Path, tmp_path: Path) -> None:
    """From a URL come the range's files below python/ and no others, neither older, newer nor beside it."""
    mirror_clone(upstream.as_uri(), "0.5.2..0.5.3", tmp_path / "m.git")
    objects = ask(tmp_path / "m.git", "rev-list", "--objects", "--missing=print", "--all").splitlines()
    missing = {line[1:] for line in objects if line.startswith("?")}

    def blob(revision: str, path: str) -> str:
        return ask(upstream, "rev-parse", f"{revision}:{path}")

    init = "python/sglang/__init__.py"
    assert blob("v0.5.1", init) in missing
    assert {blob("v0.5.2", init), blob("v0.5.3", init)}.isdisjoint(missing)
    assert blob("v0.5.3", "docs.md") in missing
    assert not any(blob("v0.5.4", init) in line for line in objects)


def test_revisions_and_growth(upstream: Path, tmp_path: Path) -> None:
    """Branches, tags and commit ids are ranges too, and the same folder is used again."""
    mirror_clone(str(upstream), "v0.5.4", tmp_path / "m.git")
    report = mirror_clone(str(upstream), "v0.5.1..trunk", tmp_path / "m.git")
    assert report.added == ("v0.5.1",)
    assert ask(tmp_path / "m.git", "rev-parse", "main") == ask(upstream, "rev-parse", "trunk")
    mirror_clone(str(upstream), ask(upstream, "rev-parse", "v0.5.2"), tmp_path / "m.git")
    assert ask(tmp_path / "m.git", "rev-parse", "main") == ask(upstream, "rev-parse", "v0.5.2")


def test_no_range_is_head_and_all_releases(upstream: Path, tmp_path: Path) -> None:
    """Without a range the source's HEAD is taken and every release tag; other tags stay behind."""
    report = mirror_clone(str(upstream), None, tmp_path / "m.git")
    assert report.tags == ("v0.5.1", "v0.5.2", "v0.5.3", "v0.5.4")
    assert "gateway" not in ask(tmp_path / "m.git", "tag", "--list")
    assert ask(tmp_path / "m.git", "rev-parse", "main") == ask(upstream, "rev-parse", "trunk")


def test_errors(upstream: Path, tmp_path: Path) -> None:
    """A missing folder, a missing revision, another source and a mirror of releases are told apart."""
    with pytest.raises(TargetNotFoundError, match="no such folder"):
        mirror_clone(str(tmp_path / "none"), None, tmp_path / "m.git")
    with pytest.raises(TargetNotFoundError, match=r"'0\.5\.9' is not a release"):
        mirror_clone(str(upstream), "0.5.1..0.5.9", tmp_path / "m.git")
    mirror_clone(str(upstream), "0.5.1", tmp_path / "m.git")
    with pytest.raises(MirrorError, match="a mirror of"):
        mirror_clone(upstream.as_uri(), "0.5.1", tmp_path / "m.git")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TargetNotFoundError, match="no repository there"):
        mirror_clone(str(tmp_path / "empty"), None, tmp_path / "other.git")
    write_wheel(tmp_path / "wheels", "0.5.1")
    with pytest.raises(MirrorError, match="kind 'clone', asked for 'releases'"):
        mirror_releases(parse_range("0.5.1"), tmp_path / "m.git", folder_index(tmp_path / "wheels"))


@pytest.mark.parametrize("text", ["0.5.3..0.5.1", "v0.5.3..0.5.1", "trunk..v0.5.1", "trunk..{v0.5.2}"])
def test_backwards_ranges_are_refused(upstream: Path, tmp_path: Path, text: str) -> None:
    """A range whose newer end comes first is the same error as for releases, and the branch stays."""
    mirror_clone(str(upstream), "v0.5.4", tmp_path / "m.git")
    text = text.replace("{v0.5.2}", ask(upstream, "rev-parse", "v0.5.2"))
    with pytest.raises(TargetSpecError, match=r"is backwards; expected OLDER\.\.NEWER"):
        mirror_clone(str(upstream), text, tmp_path / "m.git")
    assert ask(tmp_path / "m.git", "rev-parse", "main") == ask(upstream, "rev-parse", "v0.5.4")


@pytest.mark.parametrize("text", ["0.5.2..0.5.2", "trunk..gateway-v1"])
def test_ranges_of_one_commit_are_not_backwards(upstream: Path, tmp_path: Path, text: str) -> None:
    """Two names of one commit are a range of that commit, as for releases."""
    mirror_clone(str(upstream), text, tmp_path / "m.git")


def test_unreachable_is_not_missing(tmp_path: Path) -> None:
    """A source that could not be asked is not said to be missing, and git's own words tell why."""
    with pytest.raises(MirrorError, match=r"git got no answer.*\n.*unable to access.*127\.0\.0\.1 port 9"):
        mirror_clone("http://127.0.0.1:9/sglang.git", None, tmp_path / "m.git")
    with answering(503) as place, pytest.raises(MirrorError) as caught:
        mirror_clone(f"http://me:secret@{place}/sglang.git", None, tmp_path / "other.git")
    assert str(caught.value).endswith("The requested URL returned error: 503")
    assert "secret" not in str(caught.value)
    with (
        answering(404) as place,
        pytest.raises(TargetNotFoundError, match=r"no repository there.*\n.*not found$"),
    ):
        mirror_clone(f"http://{place}/sglang.git", None, tmp_path / "third.git")
    with pytest.raises(TargetNotFoundError, match=r"no repository there.*\n.*does not appear to be"):
        mirror_clone((tmp_path / "none").as_uri(), None, tmp_path / "fourth.git")
