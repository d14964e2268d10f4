from __future__ import annotations

import os
import pickle
import subprocess
from pathlib import Path

import pytest

import exhausters.targets as targets
from exhausters.errors import InstallError, SeamError, TargetError, TargetNotFoundError
from exhausters.targets import PreparedTarget, prepare
from exhausters.targets.git import run_git
from exhausters.targets.target_spec import NEWEST_RELEASE, SUPPORTED_RELEASES

from .fakes import FakeInstaller

RELEASES = {"0.5.22": "5.19.0", "0.5.23": "5.19.0", "0.5.13": "5.8.1"}


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=n", "-c", "user.email=e@e", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository shaped like SGLang's, with one commit."""
    folder = tmp_path / "checkout"
    (folder / "python" / "sglang" / "srt").mkdir(parents=True)
    (folder / "python" / "sglang" / "__init__.py").write_text("first = 1\n")
    (folder / "python" / "sglang" / "srt" / "__init__.py").touch()
    (folder / "python" / "pyproject.toml").write_text(
        '[project]\nname = "sglang"\ndependencies = ["transformers==5.1"]\nrequires-python = ">=3.10"\n'
    )
    (folder / "README.md").touch()
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def test_release() -> None:
    """A release is fetched without dependencies, and its environment holds its own pins."""
    fake = FakeInstaller(transformers_of=RELEASES)
    target = prepare("release:0.5.13", installer=fake)
    assert fake.calls[0] == ("bare", "sglang==0.5.13")
    assert "transformers==5.8.1" in fake.calls[2]
    assert (target.name, target.version, target.commit) == ("release:0.5.13", "0.5.13", None)
    assert (target.source_dirs[0] / "sglang").is_dir()
    assert target.python.exists()
    assert target.pycache_prefix is None
    assert "transformers==5.8.1" in target.pins
    assert pickle.loads(pickle.dumps(target)) == target


def test_second_prepare_installs_nothing() -> None:
    """A warm cache is enough: no installer and no network."""
    first = prepare("release:0.5.13", installer=FakeInstaller(transformers_of=RELEASES))
    fake = FakeInstaller(fails=True)
    assert prepare("release:0.5.13", installer=fake) == first
    assert fake.calls == []


def test_equal_pins_share_an_environment() -> None:
    """Releases with the same pins share one environment; others do not."""
    fake = FakeInstaller(transformers_of=RELEASES)
    keys = [prepare(f"release:{version}", installer=fake).environment_key for version in RELEASES]
    assert keys[0] == keys[1] != keys[2]
    assert [call[0] for call in fake.calls].count("create") == 2


def test_chosen_torch_has_its_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment with another torch is not mistaken for the default one."""
    fake = FakeInstaller(transformers_of=RELEASES)
    usual = prepare("release:0.5.13", installer=fake)
    monkeypatch.setenv("EXHAUSTERS_TORCH", "torch==2.12.0")
    assert prepare("release:0.5.13", installer=fake).python != usual.python


def test_interrupted_build_is_recovered(cache: Path) -> None:
    """An environment without its marker, as SIGKILL leaves it, is wiped and built again."""
    fake = FakeInstaller(transformers_of=RELEASES)
    target = prepare("release:0.5.13", installer=fake)
    folder = target.python.parents[1]
    (folder / "complete.json").unlink()
    (folder / "rubbish").touch()
    assert prepare("release:0.5.13", installer=fake) == target
    assert not (folder / "rubbish").exists()
    assert [call[0] for call in fake.calls].count("create") == 2


def test_vanished_interpreter_is_recovered() -> None:
    """An environment whose Python was removed from the machine is built again."""
    fake = FakeInstaller(transformers_of=RELEASES)
    target = prepare("release:0.5.13", installer=fake)
    target.python.unlink()
    target.python.symlink_to("/nowhere/python")
    prepare("release:0.5.13", installer=fake)
    assert os.access(target.python, os.X_OK)


def test_unpublished_release_names_near_ones() -> None:
    """A version that does not exist is an error of its own, with versions that do."""
    with pytest.raises(TargetNotFoundError, match=r"release:0\.5\.32.*0\.5\.23"):
        prepare("release:0.5.32", installer=FakeInstaller(transformers_of=RELEASES))


def test_failed_download_is_not_called_unpublished(cache: Path) -> None:
    """A failing network is reported as such, and leaves nothing behind that would pass for a release."""
    with pytest.raises(InstallError, match="network is down"):
        prepare("release:0.5.13", installer=FakeInstaller(fails=True))
    prepare("release:0.5.13", installer=FakeInstaller(transformers_of=RELEASES))


def test_progress_is_told() -> None:
    """Whatever takes time says so in one line; a warm call says nothing."""
    said: list[str] = []
    fake = FakeInstaller(transformers_of=RELEASES)
    prepare("release:0.5.13", installer=fake, on_progress=said.append)
    assert [line.split()[0] for line in said] == ["fetching", "building"]
    prepare("release:0.5.13", installer=fake, on_progress=said.append)
    assert len(said) == 2


def test_path(checkout: Path, cache: Path) -> None:
    """A checkout is used in place, with its commit, and bytecode is kept out of it."""
    target = prepare(f"path:{checkout}", installer=FakeInstaller())
    assert target.source_dirs == (checkout / "python",)
    assert (target.commit, target.dirty) == (git(checkout, "rev-parse", "HEAD"), False)
    assert target.pycache_prefix == cache / "pycache"
    assert target.version == "unknown"
    assert "transformers==5.1" in target.pins


def test_path_directly_to_sglang(checkout: Path) -> None:
    """The folder that contains sglang/ names the same sources as the checkout around it."""
    direct = prepare(f"path:{checkout / 'python'}", installer=FakeInstaller())
    assert direct.source_dirs == (checkout / "python",)


@pytest.mark.parametrize("file", ["python/sglang/__init__.py", "python/sglang/added.py"])
def test_dirty_checkout(checkout: Path, file: str) -> None:
    """An edited or added source file marks the checkout as dirty."""
    (checkout / file).write_text("changed = 1\n")
    assert prepare(f"path:{checkout}", installer=FakeInstaller()).dirty is True


def test_change_outside_python_is_not_dirty(checkout: Path) -> None:
    """Files that SGLang cannot import do not mark the checkout as dirty."""
    (checkout / "README.md").write_text("changed\n")
    assert prepare(f"path:{checkout}", installer=FakeInstaller()).dirty is False


def test_checkout_is_not_written_to(checkout: Path) -> None:
    """Looking at a checkout changes no file of it, git's own included."""
    os.utime(checkout / "python/sglang/__init__.py", (1, 1))  # makes `git status` want to refresh its index
    before = {path: path.stat().st_mtime_ns for path in sorted(checkout.rglob("*"))}
    prepare(f"path:{checkout}", installer=FakeInstaller())
    prepare(f"git:{checkout}@HEAD", installer=FakeInstaller())
    assert {path: path.stat().st_mtime_ns for path in sorted(checkout.rglob("*"))} == before


def test_untracked_folder_in_a_repository_has_no_commit(checkout: Path) -> None:
    """Sources that merely lie inside some other repository are not given its commit."""
    copy = checkout / "copy"
    (copy / "sglang" / "srt").mkdir(parents=True)
    (copy / "pyproject.toml").write_text('[project]\nversion = "1.2"\n')
    target = prepare(f"path:{copy}", installer=FakeInstaller())
    assert (target.commit, target.dirty, target.version) == (None, False, "1.2")


def test_version_from_the_sources(checkout: Path) -> None:
    """A version that only a module of the sources states is found."""
    (checkout / "python/sglang/_version.py").write_text("__version__ = version = '0.5.9.dev3'\n")
    assert prepare(f"path:{checkout}", installer=FakeInstaller()).version == "0.5.9.dev3"


def test_git_commit(checkout: Path) -> None:
    """A commit is exported as it was, whatever the working tree holds, and needs no second export."""
    (checkout / "python/sglang/__init__.py").write_text("second = 2\n")
    git(checkout, "commit", "--quiet", "-am", "second")
    target = prepare(f"git:{checkout}@HEAD~1", installer=FakeInstaller())
    file = target.source_dirs[0] / "sglang/__init__.py"
    assert file.read_text() == "first = 1\n"
    assert target.commit == git(checkout, "rev-parse", "HEAD~1")
    assert target.pycache_prefix is None
    said: list[str] = []
    prepare(f"git:{checkout}@{target.commit}", installer=FakeInstaller(), on_progress=said.append)
    assert said == []


def test_what_the_repository_tells_of_a_commit(checkout: Path) -> None:
    """A commit and a checkout of it have the commit's date and subject; a release has neither."""
    (checkout / "python/sglang/__init__.py").write_text("second = 2\n")
    git(checkout, "commit", "--quiet", "-am", "second\tof two (#2)")
    for text in (f"git:{checkout}@HEAD", f"path:{checkout}"):
        target = prepare(text, installer=FakeInstaller())
        assert target.committed == git(checkout, "show", "-s", "--format=%cI", "HEAD")
        assert target.subject == "second\tof two (#2)"
    release = prepare("release:0.5.13", installer=FakeInstaller(transformers_of=RELEASES))
    assert (release.committed, release.subject) == ("", "")


def test_git_commit_without_rust_sources(checkout: Path) -> None:
    """No Rust sources lie where SGLang looks for them: it would compile them each time a scheduler boots."""
    (checkout / "rust" / "sglang-radix-tree").mkdir(parents=True)
    (checkout / "rust" / "Cargo.toml").write_text("[workspace]\n")
    (checkout / "rust" / "sglang-radix-tree" / "Cargo.toml").write_text("[package]\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "rust")
    target = prepare(f"git:{checkout}@HEAD", installer=FakeInstaller())
    assert not list(target.source_dirs[0].parent.glob("rust")) + list(
        target.source_dirs[0].rglob("Cargo.toml")
    )


def test_git_bare_repository(checkout: Path, tmp_path: Path) -> None:
    """A bare repository serves as well as a clone."""
    git(tmp_path, "clone", "--quiet", "--bare", str(checkout), "bare.git")
    target = prepare(f"git:{tmp_path / 'bare.git'}@main", installer=FakeInstaller())
    assert (target.source_dirs[0] / "sglang/__init__.py").is_file()


def test_git_inside_a_hook(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The repository of a running git hook does not stand in for the one that was named."""
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert prepare(f"git:{checkout}@HEAD", installer=FakeInstaller()).commit is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path:{0}/missing", "no such folder"),
        ("path:{0}/python/sglang/srt", "contains no SGLang"),
        ("git:{0}/missing@HEAD", "no such folder"),
        ("git:{0}@no-such-branch", "'no-such-branch' names no commit"),
    ],
)
def test_not_found(checkout: Path, text: str, message: str) -> None:
    """What is not there is named, and told apart from what cannot be read."""
    with pytest.raises(TargetNotFoundError, match=message):
        prepare(text.format(checkout), installer=FakeInstaller())


def test_git_speaks_its_own_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What git says can be read by a program, whatever language the user reads."""
    monkeypatch.setenv("LANGUAGE", "de")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    with pytest.raises(TargetError, match=r"fatal: .* does not appear to be a git repository"):
        run_git(["ls-remote", str(tmp_path)])


def test_other_repository_is_refused(checkout: Path) -> None:
    """A commit without SGLang in it is refused before anything is installed."""
    git(checkout, "rm", "-rq", "python")
    git(checkout, "commit", "--quiet", "-m", "gone")
    fake = FakeInstaller()
    with pytest.raises(TargetNotFoundError, match="has no python/sglang"):
        prepare(f"git:{checkout}@HEAD", installer=fake)
    assert fake.calls == []


def test_python_out_of_range(checkout: Path) -> None:
    """A target for another Python is refused, with both versions, before anything is installed."""
    (checkout / "python/pyproject.toml").write_text('[project]\nrequires-python = ">=3.99"\n')
    fake = FakeInstaller()
    with pytest.raises(TargetError, match=r">=3\.99.*3\.\d+\.\d+"):
        prepare(f"path:{checkout}", installer=fake)
    assert fake.calls == []


def test_public_names() -> None:
    """The public surface is exactly this list."""
    assert targets.__all__ == [
        "NEWEST_RELEASE",
        "REACHED_RELEASES",
        "SUPPORTED_RELEASES",
        "PreparedTarget",
        "TargetSpec",
        "explain_missing_module",
        "parse_target",
        "prepare",
    ]


# torchvision registers fakes for two operators of its compiled half, which does not load without CUDA.
IMPORT_SCHEDULER = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
try:
    import torchvision
except RuntimeError:
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
import sglang.srt.managers.scheduler
print(sglang.srt.managers.scheduler.__file__)
"""


def import_scheduler(target: PreparedTarget) -> None:
    # `-s`: a stray package of the user must not stand in for a missing one.
    command = [str(target.python), "-s", "-c", IMPORT_SCHEDULER, str(target.source_dirs[0])]
    environment = os.environ | {"SGLANG_USE_CPU_ENGINE": "0", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    imported = Path(done.stdout.splitlines()[-1])
    assert imported == target.source_dirs[0] / "sglang/srt/managers/scheduler.py"


@pytest.mark.real
def test_newest_release_for_real() -> None:
    """The newest release's scheduler can be imported; a warm prepare calls no installer."""
    target = prepare(f"release:{NEWEST_RELEASE}")
    fake = FakeInstaller(fails=True)
    assert prepare(f"release:{NEWEST_RELEASE}", installer=fake) == target
    assert fake.calls == []
    import_scheduler(target)


@pytest.mark.real
def test_unpublished_release_for_real() -> None:
    """uv's own words for a version that the index lacks are still understood."""
    with pytest.raises(TargetNotFoundError, match=r"release:0\.5\.0\.post99"):
        prepare("release:0.5.0.post99")


@pytest.mark.real
@pytest.mark.releases
@pytest.mark.parametrize("version", SUPPORTED_RELEASES)
def test_every_supported_release_for_real(version: str) -> None:
    """The table of distributions suffices for the scheduler of every supported release."""
    import_scheduler(prepare(f"release:{version}"))


def test_uncommitted_changes_are_part_of_the_identity(checkout: Path) -> None:
    """Two states of one checkout have two names, the same state always the same, and a clean one its own."""
    clean = prepare(f"path:{checkout}", installer=FakeInstaller())
    assert (clean.name, clean.changes) == (f"path:{checkout}", None)
    (checkout / "python/sglang/__init__.py").write_text("changed = 1\n")
    edited = prepare(f"path:{checkout}", installer=FakeInstaller())
    assert edited.name == f"path:{checkout}+{edited.changes}"
    assert prepare(f"path:{checkout}", installer=FakeInstaller()).name == edited.name
    (checkout / "python/sglang/srt/added.py").write_text("added = 1\n")
    added = prepare(f"path:{checkout}", installer=FakeInstaller())
    assert len({clean.name, edited.name, added.name}) == 3
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "all of it")
    assert prepare(f"path:{checkout}", installer=FakeInstaller()).changes is None


def test_sources_without_a_commit_are_identified_by_their_files(tmp_path: Path) -> None:
    """A folder that git does not track has the digest of its Python files in its name."""
    srt = tmp_path / "loose" / "sglang" / "srt"
    srt.mkdir(parents=True)
    (tmp_path / "loose" / "pyproject.toml").write_text('[project]\nversion = "1.2"\n')
    (srt / "a.py").write_text("first = 1\n")
    first = prepare(f"path:{tmp_path / 'loose'}", installer=FakeInstaller())
    (srt / "a.py").write_text("second = 1\n")
    second = prepare(f"path:{tmp_path / 'loose'}", installer=FakeInstaller())
    assert first.commit is second.commit is None
    assert first.name != second.name
    assert first.name.startswith(f"path:{tmp_path / 'loose'}+")


def test_a_build_without_hook_and_model_door_is_refused_before_its_environment_is_built(
    checkout: Path,
) -> None:
    """What could never boot is refused once, with the reason, and nothing is installed for it."""
    managers = checkout / "python/sglang/srt/managers"
    managers.mkdir()
    (managers / "scheduler.py").write_text("class Scheduler:\n    pass\n")
    fake = FakeInstaller()
    with pytest.raises(SeamError, match=r"SGLANG_EXTERNAL_MODEL_PACKAGE.*has no maybe_init_scripted"):
        prepare(f"path:{checkout}", installer=fake)
    assert fake.calls == []
    (managers / "models.py").write_text("door = 'SGLANG_EXTERNAL_MODEL_PACKAGE'\n")
    prepare(f"path:{checkout}", installer=fake)
    (managers / "models.py").unlink()
    (managers / "scheduler_mixin.py").write_text("def maybe_init_scripted_scheduler_hook(self): ...\n")
    prepare(f"path:{checkout}", installer=fake)
