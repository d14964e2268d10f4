"""Pruning the cache: what is old or too much goes, what a process uses or builds stays."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exhausters.cli.app import app
from exhausters.errors import CacheFolderError
from exhausters.targets.cache import MARKER, build_once
from exhausters.targets.cache_prune import prune
from exhausters.targets.cache_space import cache_entries, shared_files, size_bytes
from exhausters.targets.claims import alone

ROOT = Path(__file__).parents[2]
_KILOBYTE, _DAY = 1_000, 86_400.0

# Uses or builds argv[1], then says so, and lives until its input ends.
_USER = """
import sys, pathlib
from exhausters.targets.cache import build_once
def build(folder):
    (folder / "half").touch()
    print("building", flush=True)
    sys.stdin.read()
build_once(pathlib.Path(sys.argv[1]), build, content={})
print("using", flush=True)
sys.stdin.read()
"""


@contextmanager
def _user(folder: Path) -> Iterator[str]:
    """Another process that uses a folder; yields what it says first."""
    with subprocess.Popen(
        [sys.executable, "-c", _USER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _entry(cache: Path, name: str, *, days: float = 0, kilobytes: int = 100) -> Path:
    """An entry of the cache as a command left it that ran so many days ago, in a process that has ended."""
    folder = cache / name
    folder.mkdir(parents=True)
    (folder / "content").write_bytes(os.urandom(kilobytes * _KILOBYTE))
    folder.with_name(folder.name + ".lock").touch()
    (folder / MARKER).write_text(json.dumps({}))
    _age(folder, days)
    return folder


def _age(folder: Path, days: float) -> None:
    at = time.time() - days * _DAY
    os.utime(folder / MARKER, (at, at))


def _commit(cache: Path, name: str, files: dict[str, bytes], *, days: float = 0) -> Path:
    """An exported commit whose files are in the store."""
    folder = _entry(cache, f"commits/{name}", days=days, kilobytes=1)
    for key, content in files.items():
        stored = cache / "files" / key[:2] / key[2:]
        if not stored.exists():
            stored.parent.mkdir(parents=True, exist_ok=True)
            stored.write_bytes(content)
        os.link(stored, folder / key)
    return folder


def _left(cache: Path) -> set[str]:
    return {f"{path.parent.name}/{path.name}" for path in cache.glob("*/*") if path.is_dir()} - {
        f"files/{path.name}" for path in (cache / "files").glob("*")
    }


def test_what_was_not_used_for_long_goes(cache: Path) -> None:
    """By its last use, of the kinds that were named; a dry run says the same and removes nothing."""
    _entry(cache, "releases/0.5.1", days=40)
    _entry(cache, "releases/0.5.2", days=3)
    _entry(cache, "environments/abc", days=40)
    since = time.time() - 30 * _DAY
    dry = prune(cache, kinds=("releases",), unused_since=since)
    assert _left(cache) >= {"releases/0.5.1", "releases/0.5.2", "environments/abc"}
    done = prune(cache, kinds=("releases",), unused_since=since, is_dry=False)
    assert [one.name for one in dry.removed] == [one.name for one in done.removed] == ["releases/0.5.1"]
    assert dry.freed_bytes == done.freed_bytes >= 100 * _KILOBYTE
    assert _left(cache) == {"releases/0.5.2", "environments/abc"}
    assert not (cache / "releases/0.5.1.lock").exists()


def test_a_use_counts_from_now(cache: Path) -> None:
    """A folder that a command has taken from the cache is not old."""
    folder = _entry(cache, "releases/0.5.1", days=40)
    with _user(folder) as said:
        assert said == "using"
    pruned = prune(cache, unused_since=time.time() - 30 * _DAY, is_dry=False)
    assert pruned.removed == ()
    assert folder.exists()


def test_the_least_recently_used_go_until_it_is_small_enough(cache: Path) -> None:
    """Of all kinds, in order of their last use, and no more than needed."""
    for days in (1, 2, 3, 4):
        _entry(cache, f"releases/{days}", days=days, kilobytes=200)
    pruned = prune(cache, max_bytes=500 * _KILOBYTE, is_dry=False)
    assert [one.name for one in pruned.removed] == ["releases/4", "releases/3"]
    assert _left(cache) == {"releases/1", "releases/2"}


def test_files_that_commits_share_go_with_the_last_of_them(cache: Path) -> None:
    """What another commit still has is neither counted as freed nor removed."""
    shared, own = os.urandom(300 * _KILOBYTE), os.urandom(50 * _KILOBYTE)
    old = _commit(cache, "a" * 40, {"aa1": shared, "bb1": own}, days=9)
    new = _commit(cache, "b" * 40, {"aa1": shared}, days=1)
    total = size_bytes([*cache_entries(cache), shared_files(cache)])
    assert 350 * _KILOBYTE < total < 420 * _KILOBYTE
    first = prune(cache, kinds=("commits",), unused_since=time.time() - 5 * _DAY, is_dry=False)
    assert not old.exists()
    assert 50 * _KILOBYTE <= first.freed_bytes < 100 * _KILOBYTE
    assert (new / "aa1").read_bytes() == shared
    assert [path.name for path in (cache / "files").glob("*/*")] == ["1"]
    last = prune(cache, kinds=("commits",), is_dry=False)
    assert last.freed_bytes >= 300 * _KILOBYTE
    assert list((cache / "files").glob("*/*")) == []


@pytest.mark.parametrize("is_built", [True, False], ids=["used", "being built"])
def test_what_a_process_uses_or_builds_stays(cache: Path, is_built: bool) -> None:
    """As long as it lives; afterwards it goes, and what was half built goes whenever pruning is asked for."""
    folder = cache / "environments" / "abc"
    if is_built:
        _entry(cache, "environments/abc")
    with _user(folder) as said:
        assert said == ("using" if is_built else "building")
        pruned = prune(cache, kinds=("environments",), is_dry=False)
        assert pruned.removed == ()
        assert [one.path for one in pruned.kept_in_use] == [folder]
        assert folder.exists()
    pruned = prune(cache, kinds=("environments",), is_dry=False)
    assert [one.path for one in pruned.removed] == [folder]
    assert not folder.exists()


def test_who_comes_while_pruning_waits_and_builds_again(cache: Path) -> None:
    """A command never works in a folder that is being removed."""
    folder = _entry(cache, "environments/abc")
    with alone(cache) as claimed:
        assert claimed == frozenset()
        process = subprocess.Popen(
            [sys.executable, "-c", _USER, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        time.sleep(1)
        assert process.poll() is None  # it would have ended: its input is empty
        folder.rename(cache / ".removed-1")
    said, _ = process.communicate(timeout=60)
    assert said.split() == ["building", "using"]
    assert (folder / "half").exists()


def test_the_pruner_itself_may_use_what_it_prunes_for(cache: Path) -> None:
    """A command that has prepared a target and then prunes keeps that target."""
    folder = cache / "releases" / "mine"
    build_once(folder, lambda place: None, content={})
    assert prune(cache, kinds=("releases",), is_dry=False).removed == ()
    assert folder.exists()


@pytest.mark.parametrize("room_bytes", [0, 10])
def test_what_cannot_be_claimed_is_not_used(cache: Path, room_bytes: int) -> None:
    """On a full disk, which is when people prune, a command ends and does not use what may be removed."""
    folder = _entry(cache, "environments/abc")
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({room_bytes},) * 2)\n{_USER}"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 1
    assert os.strerror(errno.EFBIG) in done.stderr
    assert done.stdout == ""
    assert [path.stat().st_size for path in (cache / "in_use").glob("*-*")] == [0]
    assert [one.path for one in prune(cache, kinds=("environments",), is_dry=False).removed] == [folder]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_who_may_not_write_a_cache_may_use_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """What is complete in a cache of others is used as it is."""
    folder = _entry(cache, "environments/abc")

    def refuse(path: Path, *_arguments: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert build_once(folder, lambda place: pytest.fail("it is built again"), content={}) == folder


def test_what_a_killed_pruner_left_is_removed(cache: Path) -> None:
    """What was moved away and not deleted is no entry, and goes with the next."""
    _entry(cache, "releases/0.5.1")
    rest = cache / ".removed-1234"
    rest.mkdir()
    (rest / "content").touch()
    assert [one.kind for one in cache_entries(cache)] == ["releases"]
    prune(cache, kinds=("results",), is_dry=False)
    assert not rest.exists()


def test_a_cache_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    """The message names the folder."""
    (tmp_path / "file").touch()
    with pytest.raises(CacheFolderError, match="cannot be pruned"):
        prune(tmp_path / "file" / "cache")


def _invoke(*words: str) -> tuple[int, str, str]:
    done = CliRunner(env={"NO_COLOR": "1"}).invoke(app, ["cache", *words])
    return done.exit_code, done.stdout, done.stderr


def test_the_list_has_a_line_for_each_kind(cache: Path) -> None:
    """Entries, size and last use by kind; equal files of commits count once; entries when asked for."""
    _entry(cache, "releases/0.5.1", days=4, kilobytes=2_000)
    _commit(cache, "a" * 40, {"aa1": os.urandom(3_000 * _KILOBYTE)})
    _commit(cache, "b" * 40, {"aa1": b""})
    (cache / "environments" / "half").mkdir(parents=True)
    code, said, _ = _invoke("list")
    assert code == 0
    lines = {line.split()[0]: line.split() for line in said.splitlines() if line.strip()}
    assert lines["releases"] == ["releases", "1", "2.0", "MB", "4", "days", "ago"]
    assert lines["commits"] == ["commits", "2", "3.0", "MB", "today"]
    assert lines["environments"][-2:] == ["half", "built"]
    assert "files" not in lines
    code, said, _ = _invoke("list", "--kind", "commits", "--entries")
    assert code == 0
    assert said.count("a" * 40) == 1
    assert "releases" not in said


def test_pruning_is_dry_unless_it_is_confirmed(cache: Path) -> None:
    """The command shows what it would remove, and removes it with --yes only."""
    folder = _entry(cache, "releases/0.5.1", days=40)
    code, said, told = _invoke("prune", "--older-than", "30")
    assert code == 0
    assert "would remove releases/0.5.1" in said
    assert "nothing was removed; the same command with --yes removes it" in told
    assert folder.exists()
    code, said, told = _invoke("prune", "--older-than", "30", "--yes")
    assert code == 0
    assert "removed releases/0.5.1" in said
    assert told == ""
    assert not folder.exists()


@pytest.mark.parametrize(
    ("words", "told"), [([], "expected what to remove"), (["--kind", "all"], "expected one of releases")]
)
def test_a_request_that_says_nothing_is_refused(cache: Path, words: list[str], told: str) -> None:
    """Without a kind, an age or a size nothing is chosen; exit code 2."""
    code, _, said = _invoke("prune", *words)
    assert code == 2
    assert told in said
