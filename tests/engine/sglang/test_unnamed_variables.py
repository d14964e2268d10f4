"""Which variables no file of a build names, on small source folders."""

from __future__ import annotations

from pathlib import Path

from exhausters.engine.sglang.source_tree import unnamed_variables


def _unnamed(tmp_path: Path, *names: str) -> tuple[str, ...]:
    package = tmp_path / "sglang" / "srt"
    package.mkdir(parents=True)
    (package / "environ.py").write_text("SGLANG_LONG_NAME = EnvInt(1)\nSGLANG_NEW = EnvInt(1)\n")
    (package / "core.so").write_bytes(b"\x7fELF\0SGLANG_COMPILED\0")
    return unnamed_variables(names, [str(tmp_path)])


def test_a_variable_that_no_file_names_is_told(tmp_path: Path) -> None:
    """Also one that is a part of a longer name only."""
    assert _unnamed(tmp_path, "SGLANG_TYPO", "SGLANG_LONG", "SGLANG_LONG_NAME") == (
        "SGLANG_TYPO",
        "SGLANG_LONG",
    )


def test_compiled_code_can_read_variables_too(tmp_path: Path) -> None:
    """A name in an extension module counts."""
    assert _unnamed(tmp_path, "SGLANG_COMPILED") == ()


def test_old_spellings_are_renamed(tmp_path: Path) -> None:
    """SGLang takes `SGL_NEW` for `SGLANG_NEW`."""
    assert _unnamed(tmp_path, "SGL_NEW", "SGL_OLD") == ("SGL_OLD",)


def test_variables_of_others_are_not_looked_for(tmp_path: Path) -> None:
    """Any library may read them."""
    assert _unnamed(tmp_path, "MALLOC_ARENA_MAX") == ()
