from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exhausters.errors import MirrorError, TargetNotFoundError, TargetSpecError
from exhausters.mirror import mirror_releases, parse_range
from exhausters.mirror.releases import MirrorReport
from exhausters.targets import git
from exhausters.targets.file_store import export_commit
from exhausters.targets.pins import pins_for, read_statement, statement_from_metadata

from .fakes import METADATA, folder_index, served, write_wheel

VERSIONS = ("0.5.1", "0.5.2", "0.5.2.post1", "0.5.3")


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder of four releases, one published per day, and a pre-release."""
    folder = tmp_path / "wheels"
    for day, version in enumerate(VERSIONS, start=1):
        write_wheel(folder, version, transformers=f"5.{day}", day=day)
    write_wheel(folder, "0.5.3rc1")
    return folder


def make(wheels: Path, directory: Path, text: str = "0.5.1..0.5.3") -> MirrorReport:
    return mirror_releases(parse_range(text), directory, folder_index(wheels))


def ask(directory: Path, *arguments: str) -> str:
    return git.run_git([f"--git-dir={directory}", *arguments])


def history(directory: Path) -> list[str]:
    return ask(directory, "log", "--first-parent", "--reverse", "--format=%H %at %D", "main").splitlines()


def test_one_commit_and_tag_per_release(wheels: Path, tmp_path: Path) -> None:
    """A range becomes one tagged commit per release, oldest first, pre-releases left out."""
    report = make(wheels, tmp_path / "m.git")
    assert report.tags == report.added == tuple(f"v{version}" for version in VERSIONS)
    for line, version in zip(history(tmp_path / "m.git"), VERSIONS, strict=True):
        assert f"tag: v{version}" in line
    assert ask(tmp_path / "m.git", "rev-parse", "HEAD") == ask(tmp_path / "m.git", "rev-parse", "v0.5.3")


def test_layout_is_upstreams(wheels: Path, tmp_path: Path) -> None:
    """The tree is laid out as upstream's, with compiled modules, executable bits and the licence."""
    make(wheels, tmp_path / "m.git")
    listed = ask(tmp_path / "m.git", "ls-tree", "-r", "--format=%(objectmode) %(path)", "v0.5.2")
    assert listed.splitlines() == [
        "100644 LICENSE",
        "100644 python/pyproject.toml",
        "100644 python/sglang/__init__.py",
        "100644 python/sglang/configs/N=1,block_shape=[128, 128].json",
        "100755 python/sglang/run.sh",
        "100644 python/sglang/srt/__init__.py",
        "100644 python/sglang/srt/core.cpython-311-x86_64-linux-gnu.so",
    ]
    assert ask(tmp_path / "m.git", "show", "v0.5.2:python/sglang/__init__.py") == "release = '0.5.2'"


def test_pins_are_the_releases_own(wheels: Path, tmp_path: Path) -> None:
    """A mirrored commit states the same version, Python range and pins as the release it stands for."""
    make(wheels, tmp_path / "m.git")
    exported = tmp_path / "exported"
    exported.mkdir()
    export_commit(tmp_path / "m.git", "v0.5.2", "python", exported, store=tmp_path / "files")
    ours = read_statement(exported)
    released = statement_from_metadata(METADATA.format(version="0.5.2", transformers="5.2"), source="wheel")
    assert pins_for(ours) == pins_for(released)
    assert (ours.version, ours.requires_python) == (released.version, released.requires_python)
    assert ours.requirements == released.requirements


def test_ids_are_reproducible(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same wheels and dates give the same commit ids, whoever the user is and whatever the clock says."""
    make(wheels, tmp_path / "here.git")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "somebody")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2001-01-01T00:00:00Z")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    make(wheels, tmp_path / "there.git")
    assert history(tmp_path / "here.git") == history(tmp_path / "there.git")
    who = ask(tmp_path / "here.git", "log", "-1", "--format=%an <%ae> %cn <%ce> %ai", "v0.5.1")
    name = "sglang-exhausters mirror <mirror@invalid>"
    assert who == f"{name} {name} 2026-03-01 12:00:00 +0000"


def test_dates_are_upload_times_and_increase(wheels: Path, tmp_path: Path) -> None:
    """Author dates are the index's upload times; one not later than its parent's is moved behind it."""
    files = [wheels / f"sglang-{version}-py3-none-any.whl" for version in VERSIONS]
    moments = (
        "2026-04-01T00:00:00.25Z",
        "2026-04-09T00:00:00Z",
        "2026-04-05T00:00:00Z",
        "2026-05-01T00:00:00Z",
    )
    uploaded = {file.name: moment for file, moment in zip(files, moments, strict=True)}
    with served(files, uploaded=uploaded) as index:
        assert mirror_releases(parse_range("0.5.1..0.5.3"), tmp_path / "m.git", index).notes == ()
    dates = ask(tmp_path / "m.git", "log", "--reverse", "--format=%aI|%cI", "main").splitlines()
    days = ("2026-04-01T00:00:00", "2026-04-09T00:00:00", "2026-04-09T00:00:01", "2026-05-01T00:00:00")
    assert dates == [f"{day}+00:00|{day}+00:00" for day in days]
    sources = ask(tmp_path / "m.git", "log", "--reverse", "--format=%(trailers:key=Date-Source)", "main")
    assert sources.count("upload time of the wheel") == 4
    assert sources.count("moved behind its predecessor") == 1


def test_no_upload_time(wheels: Path, tmp_path: Path) -> None:
    """Without an upload time the newest file dates the commit, and its message and a note say so."""
    report = make(wheels, tmp_path / "m.git")
    (note,) = report.notes
    assert note.startswith("v0.5.1, v0.5.2, v0.5.2.post1, v0.5.3: the index gives no upload time")
    assert make(wheels, tmp_path / "m.git").notes == ()
    message = ask(tmp_path / "m.git", "log", "-1", "--format=%B", "v0.5.2")
    assert "newest file in the wheel (the index gives no upload time)" in message
    assert ask(tmp_path / "m.git", "log", "-1", "--format=%aI", "v0.5.2") == "2026-03-02T12:00:00+00:00"


def test_grows_without_a_gap(wheels: Path, tmp_path: Path) -> None:
    """A second range continues the first: what is held is kept, what lies between is added."""
    make(wheels, tmp_path / "whole.git")
    make(wheels, tmp_path / "m.git", "0.5.1")
    report = make(wheels, tmp_path / "m.git", "v0.5.3")
    assert report.added == ("v0.5.2", "v0.5.2.post1", "v0.5.3")
    assert history(tmp_path / "m.git") == history(tmp_path / "whole.git")
    assert make(wheels, tmp_path / "m.git").added == ()


KILLED = """
import os, signal, sys
from pathlib import Path
from exhausters.mirror import mirror_releases, parse_range, repository, wheel
from tests.mirror.fakes import folder_index
place, wheels, directory = sys.argv[1:]
def die(*arguments, **keywords):
    os.kill(os.getpid(), signal.SIGKILL)
files = wheel.WheelTree.files
def some_files(self):
    for number, file in enumerate(files(self)):
        if number == 3 and "0.5.2-" in self._path.name:
            die()
        yield file
if place == "files":
    wheel.WheelTree.files = some_files
elif place == "references":
    repository.MirrorRepository._update_refs = die
elif place == "packing":
    repository.MirrorRepository.compact = die
mirror_releases(parse_range("0.5.1..0.5.3"), Path(directory), folder_index(Path(wheels)))
"""


@pytest.mark.parametrize("place", ["files", "references", "packing"])
def test_resumes_after_kill(wheels: Path, tmp_path: Path, place: str) -> None:
    """A mirror whose process was killed, at any point, is finished by another run: same ids, no leftovers."""
    make(wheels, tmp_path / "whole.git")
    directory = tmp_path / "m.git"
    command = [sys.executable, "-c", KILLED, place, str(wheels), str(directory)]
    root = Path(__file__).parents[2]
    assert subprocess.run(command, cwd=root, check=False).returncode == -signal.SIGKILL
    make(wheels, directory)
    assert history(directory) == history(tmp_path / "whole.git")
    assert not list(directory.glob("tmp_wheel_*"))
    assert not ask(directory, "for-each-ref", "refs/exhausters")
    ask(directory, "fsck", "--full", "--strict")


def test_half_moved_references_are_repaired(wheels: Path, tmp_path: Path) -> None:
    """Locks, tags and branches that a killed git left wrong are put right."""
    directory = tmp_path / "m.git"
    make(wheels, directory)
    expected = history(directory)
    ask(directory, "update-ref", "-d", "refs/tags/v0.5.2")
    ask(directory, "update-ref", "refs/tags/v0.5.1", "main")
    ask(directory, "update-ref", "refs/heads/main", "v0.5.2.post1")
    for lock in ("packed-refs.lock", "refs/heads/main.lock", "HEAD.lock"):
        (directory / lock).parent.mkdir(parents=True, exist_ok=True)
        (directory / lock).touch()
    (tmp_path / "m.git.part").mkdir()
    assert make(wheels, directory).added == ("v0.5.3",)
    assert history(directory) == expected


def test_unknown_release(wheels: Path, tmp_path: Path) -> None:
    """A release that was never published is named, with its neighbours, and nothing is made."""
    with pytest.raises(TargetNotFoundError, match=r"0\.5\.9: not published; its neighbours are 0\.5\.3"):
        make(wheels, tmp_path / "m.git", "0.5.1..0.5.9")
    assert not (tmp_path / "m.git").exists()


@pytest.mark.parametrize("text", ["", "0.5.3..", "..0.5.3", "main..0.5.3", "0.5.3..0.5.1"])
def test_ranges_that_make_no_sense(text: str) -> None:
    """A range is two releases, the older first, or one; anything else is refused as it is read."""
    with pytest.raises(TargetSpecError, match="range"):
        parse_range(text)


def test_foreign_folders_are_left_alone(wheels: Path, tmp_path: Path) -> None:
    """A folder that holds something else, or somebody's repository, is refused and not touched."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "note.txt").write_text("mine")
    with pytest.raises(MirrorError, match="holds something else"):
        make(wheels, tmp_path / "files")
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["note.txt"]
    git.run_git(["init", "--quiet", "--bare", str(tmp_path / "theirs.git")])
    with pytest.raises(MirrorError, match="a repository, but not a mirror"):
        make(wheels, tmp_path / "theirs.git")
    with pytest.raises(MirrorError, match="holds something else"):
        make(wheels, tmp_path / "theirs.git" / "hooks")


def test_older_releases_are_refused(wheels: Path, tmp_path: Path) -> None:
    """A mirror never rewrites its commits: a range that begins before it is refused."""
    make(wheels, tmp_path / "m.git", "0.5.2..0.5.3")
    with pytest.raises(MirrorError, match=r"begins at v0\.5\.2, asked for 0\.5\.1"):
        make(wheels, tmp_path / "m.git")


def test_another_wheel_is_refused(wheels: Path, tmp_path: Path) -> None:
    """A held release whose wheel is not the one the index offers is an error, not a silent mixture."""
    make(wheels, tmp_path / "m.git")
    files = [write_wheel(tmp_path / "other", version, body="changed = 1\n") for version in VERSIONS]
    with served(files, uploaded={}) as index, pytest.raises(MirrorError, match=r"v0\.5\.1 was made of"):
        mirror_releases(parse_range("0.5.1..0.5.3"), tmp_path / "m.git", index)


def test_late_release_is_reported(wheels: Path, tmp_path: Path) -> None:
    """A release published after the mirror passed it is left out with a note, never silently."""
    (wheels / "sglang-0.5.2.post1-py3-none-any.whl").rename(tmp_path / "later.whl")
    make(wheels, tmp_path / "m.git")
    (tmp_path / "later.whl").rename(wheels / "sglang-0.5.2.post1-py3-none-any.whl")
    report = make(wheels, tmp_path / "m.git")
    assert report.added == ()
    assert [note.partition(":")[0] for note in report.notes] == ["v0.5.2.post1"]


def test_damaged_download(wheels: Path, tmp_path: Path) -> None:
    """A file that is not what the index promises becomes no commit."""
    file = wheels / "sglang-0.5.1-py3-none-any.whl"
    wrong = {"hashes": {"sha256": "0" * 64}}
    with served([file], uploaded={}, **wrong) as index, pytest.raises(MirrorError, match="expected SHA-256"):
        mirror_releases(parse_range("0.5.1"), tmp_path / "m.git", index)
    assert make(wheels, tmp_path / "m.git", "0.5.1").added == ("v0.5.1",)
