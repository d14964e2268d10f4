"""Exports of commits: as git has them, sharing equal files and what was compiled of them."""

from __future__ import annotations

import errno
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from exhausters.errors import CacheFolderError, TargetError
from exhausters.targets import prepare
from exhausters.targets.file_store import export_commit
from exhausters.targets.git import run_git

from .fakes import FakeInstaller
from .test_prepare import git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits that differ in one file; with an executable, a link, an empty file and two equal ones."""
    folder = tmp_path / "repository"
    package = folder / "python" / "sglang" / "srt"
    package.mkdir(parents=True)
    (package / "same.py").write_text("same = 1\n")
    (package / "copy.py").write_text("same = 1\n")
    (package / "changed.py").write_text("before = 1\n")
    (package / "__init__.py").touch()
    (package.parent / "__init__.py").touch()
    (package / "run.sh").write_text("same = 1\n")
    (package / "run.sh").chmod(0o755)
    (package / "ümlaut name.txt").write_bytes(b"\xff\x00")
    (package / "link").symlink_to("../__init__.py")
    (folder / "python" / "pyproject.toml").write_text(
        '[project]\nname = "sglang"\ndependencies = ["transformers==5.1"]\nrequires-python = ">=3.10"\n'
    )
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    (package / "changed.py").write_text("after = 2\n")
    git(folder, "commit", "--quiet", "-am", "second")
    return folder


def _export(repository: Path, revision: str, folder: Path, *, like: Path | None = None) -> Path:
    folder.mkdir()
    store = folder.parent / "files"
    commit = git(repository, "rev-parse", revision)
    export_commit(repository / ".git", commit, "python", folder, store=store, like=like)
    return folder


def _tree(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Every file with what it is: a link with its target, a plain file with content and the right to run."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = ("link", os.fsencode(path.readlink()))
        elif path.is_file():
            kind = "program" if path.stat().st_mode & 0o100 else "file"
            found[name] = (kind, path.read_bytes())
    return found


def test_an_export_is_what_git_archive_gives(repository: Path, tmp_path: Path) -> None:
    """Contents, names, links and the right to run, whether the files were in the store or not."""
    archive = tmp_path / "archive"
    archive.mkdir()
    packed = subprocess.run(
        ["git", "-C", repository, "archive", "HEAD:python"], capture_output=True, check=True
    )
    subprocess.run(["tar", "-xf", "-", "-C", archive], input=packed.stdout, check=True)
    first = _export(repository, "HEAD~1", tmp_path / "first")
    second = _export(repository, "HEAD", tmp_path / "second")
    again = _export(repository, "HEAD", tmp_path / "again")
    assert _tree(archive) == _tree(second) == _tree(again)
    assert (first / "sglang/srt/changed.py").read_text() == "before = 1\n"


def test_equal_files_are_one_file_on_disk(repository: Path, tmp_path: Path) -> None:
    """Within a commit and between commits; a file that can be run is another, and all are read-only."""
    first, second = (_export(repository, at, tmp_path / at[-1]) for at in ("HEAD~1", "HEAD"))
    same = {
        (folder / "sglang/srt" / name).stat().st_ino
        for folder in (first, second)
        for name in ("same.py", "copy.py")
    }
    assert len(same) == 1
    assert (first / "sglang/srt/run.sh").stat().st_ino not in same
    assert not os.path.samefile(first / "sglang/srt/changed.py", second / "sglang/srt/changed.py")
    assert not (second / "sglang/srt/same.py").stat().st_mode & 0o222


@pytest.mark.parametrize("broken", ["cut off", "gone", "too many links"])
def test_a_store_that_is_damaged_is_repaired(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """A file that was cut off, is gone, or can have no more names is written anew; the export is whole."""
    whole = _tree(_export(repository, "HEAD", tmp_path / "first"))
    blob = git(repository, "rev-parse", "HEAD:python/sglang/srt/same.py")
    stored = tmp_path / "files" / blob[:2] / blob[2:]
    real = os.link
    if broken == "too many links":

        def refuse(source: Path, target: Path) -> None:
            if source == stored and stored.stat().st_nlink > 2:
                raise OSError(errno.EMLINK, "Too many links")
            real(source, target)

        monkeypatch.setattr(os, "link", refuse)
    else:
        stored.unlink()
    if broken == "cut off":
        stored.write_text("sa")
    assert _tree(_export(repository, "HEAD", tmp_path / "second")) == whole
    assert stored.read_text() == "same = 1\n"


def test_a_file_system_without_links_has_copies(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The export is whole all the same."""

    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    whole = _tree(_export(repository, "HEAD", tmp_path / "first"))
    monkeypatch.setattr(os, "link", refuse)
    assert _tree(_export(repository, "HEAD", tmp_path / "second")) == whole


def test_bytecode_is_shared_where_the_source_is(repository: Path, tmp_path: Path) -> None:
    """Python takes it as its own and names the new place in tracebacks; changed sources are compiled."""
    first = _export(repository, "HEAD~1", tmp_path / "first")
    for name in ("same.py", "changed.py"):
        py_compile.compile(str(first / "sglang/srt" / name))
    second = _export(repository, "HEAD", tmp_path / "second", like=first)
    compiled = list((second / "sglang/srt/__pycache__").iterdir())
    assert [path.name.partition(".")[0] for path in compiled] == ["same"]
    inode = compiled[0].stat().st_ino
    code = (
        "import sglang.srt.same as one, sglang.srt.changed as two\n"
        "print(one.__cached__, one.__spec__.loader.get_code('sglang.srt.same').co_filename, two.after)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=second, capture_output=True, text=True, check=True
    )
    place = second / "sglang/srt"
    assert done.stdout.split() == [str(compiled[0]), str(place / "same.py"), "2"]
    assert compiled[0].stat().st_ino == inode  # it was good as it was


def test_a_path_out_of_the_folder_is_refused(repository: Path, tmp_path: Path) -> None:
    """A commit made by hand writes nothing beside its export."""
    blob = run_git(["-C", str(repository), "hash-object", "-w", "--stdin"], stdin="x")
    tree = run_git(["-C", str(repository), "mktree"], stdin=f"100644 blob {blob}\t..\n")
    up = run_git(["-C", str(repository), "mktree"], stdin=f"040000 tree {tree}\tpython\n")
    commit = git(repository, "commit-tree", up, "-m", "x")
    (tmp_path / "out").mkdir()
    with pytest.raises(TargetError, match="expected none outside"):
        export_commit(repository / ".git", commit, "python", tmp_path / "out", store=tmp_path / "files")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_commit_that_lacks_a_file_is_a_typed_error(repository: Path, tmp_path: Path) -> None:
    """A repository that lost an object is named, with what to do."""
    blob = git(repository, "rev-parse", "HEAD:python/sglang/srt/same.py")
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(TargetError, match="git fsck"):
        _export(repository, "HEAD", tmp_path / "out")


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "No space left on device"), (errno.EROFS, "Read-only file system")]
)
def test_a_cache_that_cannot_be_written_is_a_typed_error(
    repository: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    """A full disk and a read-only folder name the cache and what to do; no half export is taken later."""

    def refuse(path: Path, content: bytes) -> None:
        raise OSError(number, said)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", refuse)
        with pytest.raises(CacheFolderError, match=rf"{said}.*exhausters cache prune.*EXHAUSTERS_CACHE"):
            prepare(f"git:{repository}@HEAD", installer=FakeInstaller())
    assert list((cache / "commits").glob("*/complete.json")) == []
    target = prepare(f"git:{repository}@HEAD", installer=FakeInstaller())
    assert (target.source_dirs[0] / "sglang/srt/changed.py").read_text() == "after = 2\n"
