"""Promises about names of builds and about where their links lead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.dashboard.builds import describe_builds
from reports.detect.config import SGLANG_REPOSITORY, load_config
from reports.errors import ConfigError
from reports.load.commits import KnownCommit

COMMIT = "8905cbd42a".ljust(40, "0")


def _described(*targets: str, repository: str = SGLANG_REPOSITORY, **about: Any) -> list[dict[str, Any]]:
    usual = {"version": "0.5.23", "commit": None, "date": None, "subject": ""}
    known = about.pop("known", None)
    builds = [{"target": target, **usual, **about} for target in targets]
    return describe_builds(builds, targets, repository=repository, known=known)


def test_a_release_leads_to_its_page() -> None:
    """A release is called by its version and leads to the page of its tag."""
    (build,) = _described("release:0.5.23")
    assert (build["label"], build["is_release"]) == ("0.5.23", True)
    assert build["url"] == f"{SGLANG_REPOSITORY}/releases/tag/v0.5.23"


def test_a_commit_leads_to_itself_and_to_its_pull_request() -> None:
    """A commit is called by nine digits; the number at the end of its subject is that of the pull request."""
    (build,) = _described(f"git:/a/sglang@{COMMIT}", commit=COMMIT, subject="Fix #7 of the queue (#12345)")
    assert build["label"] == COMMIT[:9]
    assert build["url"] == f"{SGLANG_REPOSITORY}/commit/{COMMIT}"
    assert (build["pull_request"], build["pull_request_url"]) == (12345, f"{SGLANG_REPOSITORY}/pull/12345")


@pytest.mark.parametrize("subject", ["Fix #7", "Merge (#12) into main", "(#x)"])
def test_a_number_elsewhere_in_a_subject_is_no_pull_request(subject: str) -> None:
    """Only what a merge writes at the end of a subject counts."""
    (build,) = _described(f"git:/a@{COMMIT}", commit=COMMIT, subject=subject)
    assert build["pull_request"] is None


def test_builds_with_the_same_short_name_keep_their_long_ones() -> None:
    """No two columns have the same heading."""
    labels = [build["label"] for build in _described(f"git:/a@{COMMIT}", f"git:/b@{COMMIT}")]
    assert labels == [f"git:/a@{COMMIT}", f"git:/b@{COMMIT}"]


def test_a_commit_of_a_mirror_of_releases_is_called_by_its_tag() -> None:
    """What asv measured has no version; the repository that it measured knows the release."""
    known = {COMMIT: KnownCommit(tag="v0.5.22", subject="0.5.22")}
    (build,) = _described(COMMIT[:12], commit=COMMIT, version=None, known=known)
    assert (build["label"], build["url"]) == ("0.5.22", f"{SGLANG_REPOSITORY}/releases/tag/v0.5.22")


def test_another_repository_is_a_setting(tmp_path: Path) -> None:
    """Links of a fork lead to the fork, and an empty address makes none."""
    config = tmp_path / "gate.toml"
    config.write_text('repository = "https://git.example.org/team/sglang/"')
    (build,) = _described("release:0.5.23", repository=load_config(config).repository)
    assert build["url"] == "https://git.example.org/team/sglang/releases/tag/v0.5.23"
    config.write_text('repository = ""')
    (build,) = _described("release:0.5.23", repository=load_config(config).repository)
    assert build["url"] is None


@pytest.mark.parametrize(
    "address", ['"javascript:alert(1)"', '"https://a/b c"', "7", '"https://example.org"']
)
def test_an_address_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    """The error names the value and what was expected."""
    config = tmp_path / "gate.toml"
    config.write_text(f"repository = {address}")
    with pytest.raises(ConfigError, match=r"repository=.*expected a web address"):
        load_config(config)


def test_what_looks_like_no_commit_has_no_link() -> None:
    """A page links to nothing that results made up."""
    (build,) = _described("path:/a/sglang", commit="abc</script>")
    assert build["url"] is None
