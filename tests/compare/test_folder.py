"""The folder of a comparison: one writer at a time, and never over something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from exhausters.compare.folder import comparison_folder, write_header
from exhausters.errors import FolderBusyError, StoreError, UsageError


def test_two_comparisons_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second is refused with a typed error while the first runs, and not after it."""
    with (
        comparison_folder(tmp_path / "out", reports=()),
        pytest.raises(FolderBusyError, match="another comparison writes into it"),
        comparison_folder(tmp_path / "out", reports=()),
    ):
        pass
    with comparison_folder(tmp_path / "out", reports=()):
        pass


def test_an_earlier_comparison_is_removed(tmp_path: Path) -> None:
    """Nothing of it can be taken for the new one's."""
    with comparison_folder(tmp_path, reports=("comment.md",)):
        write_header(tmp_path, {})
        (tmp_path / "pairs").mkdir()
        (tmp_path / "comment.md").write_text("old")
    with comparison_folder(tmp_path, reports=("comment.md",)):
        assert {path.name for path in tmp_path.iterdir()} == {".lock"}


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    """Results are not written among other files."""
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="expected an empty folder or an earlier comparison"):
        comparison_folder(tmp_path, reports=()).__enter__()
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_a_typed_error(tmp_path: Path) -> None:
    """The message names the folder and what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be written .*choose another folder"):
        comparison_folder(tmp_path / "file" / "out", reports=()).__enter__()
