"""What to install for a target: the table's distributions, at the versions the target itself states.

A release states its requirements in the METADATA of its wheel, a checkout in `python/pyproject.toml`;
both hold PEP 508 requirements. They differ between releases and matter (transformers above all), so
they are read from each target and never copied into this project.

torch is the exception. SGLang pins a CUDA build that a CPU machine neither needs nor should download,
and the pinned version changes every few releases. `DEFAULT_TORCH` is one version that all supported
releases were tested on; running all of them on the same torch also keeps torch out of the differences
between two releases. Which *build* of that version is installed is up to the user's package index:
where only the default index is configured, `UV_TORCH_BACKEND=cpu` selects the CPU build. The
environment variable `EXHAUSTERS_TORCH` (for example `torch==2.12.0`) replaces the requirement.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from exhausters.errors import TargetError, UsageError
from exhausters.targets.distributions import DISTRIBUTIONS, Distribution, normalised

__all__ = [
    "DEFAULT_TORCH",
    "TORCH_VARIABLE",
    "Pins",
    "Statement",
    "pins_for",
    "read_statement",
    "statement_from_metadata",
    "statement_from_pyproject",
]

DEFAULT_TORCH = "torch==2.13.0"
"""Tested with every release in SUPPORTED_RELEASES; see the module's docstring."""

TORCH_VARIABLE = "EXHAUSTERS_TORCH"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What a target states about itself.

    Attributes:
        source: the file it was read from, for messages.
        version: stated version, or None (checkouts usually derive theirs from git tags).
        requires_python: stated range of Python versions; the empty set allows all.
        requirements: requirements that apply to this machine; those of extras are left out.
    """

    source: str
    version: str | None
    requires_python: SpecifierSet
    requirements: tuple[Requirement, ...]


@dataclass(frozen=True, kw_only=True)
class Pins:
    """What an environment holds; equal pins share one environment.

    Attributes:
        full: requirements installed together with their dependencies, sorted.
        bare: requirements installed without their dependencies, sorted.
    """

    full: tuple[str, ...]
    bare: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """Return one line per requirement; those without dependencies end in `--no-deps`."""
        return tuple(sorted((*self.full, *(f"{requirement} --no-deps" for requirement in self.bare))))


def read_statement(source_dir: Path) -> Statement:
    """Return what the SGLang in `source_dir` (the folder that contains `sglang/`) states about itself.

    Raises:
        TargetError: neither `sglang-*.dist-info/METADATA` nor `pyproject.toml` is beside `sglang/`, or
            the file cannot be read.
    """
    metadata_files = sorted(source_dir.glob("sglang-*.dist-info/METADATA"))
    if metadata_files:
        text = metadata_files[-1].read_text(encoding="utf-8")
        return statement_from_metadata(text, source=str(metadata_files[-1]))
    pyproject = source_dir / "pyproject.toml"
    if pyproject.is_file():
        return statement_from_pyproject(pyproject.read_text(encoding="utf-8"), source=str(pyproject))
    raise TargetError(
        f"{source_dir}: states no requirements; expected pyproject.toml or sglang-*.dist-info/METADATA "
        "beside sglang/; use a complete checkout or a release"
    )


def statement_from_metadata(text: str, *, source: str) -> Statement:
    """Return the statement in the METADATA of a wheel (core metadata, PEP 566).

    Raises:
        TargetError: a field cannot be parsed; the message starts with `source`.
    """
    # Headers only: the body is the project's README.
    headers = HeaderParser().parsestr(text)
    return _statement(
        source,
        version=headers["Version"],
        requires_python=headers["Requires-Python"],
        requirements=headers.get_all("Requires-Dist") or [],
    )


def statement_from_pyproject(text: str, *, source: str) -> Statement:
    """Return the statement in the `[project]` table of a `pyproject.toml` (PEP 621).

    Raises:
        TargetError: not TOML, or a field cannot be parsed; the message starts with `source`.
    """
    try:
        project: Mapping[str, Any] = tomllib.loads(text).get("project", {})
    except tomllib.TOMLDecodeError as error:
        raise TargetError(f"{source}: expected TOML: {error}; repair the checkout") from error
    return _statement(
        source,
        version=project.get("version"),
        requires_python=project.get("requires-python"),
        requirements=project.get("dependencies", []),
    )


def pins_for(statement: Statement, *, table: tuple[Distribution, ...] = DISTRIBUTIONS) -> Pins:
    """Return the requirements of an environment for the target that made `statement`.

    Raises:
        UsageError: `EXHAUSTERS_TORCH` is set to something that is not a requirement on torch.
    """
    stated: dict[str, list[Requirement]] = {}
    for requirement in statement.requirements:
        stated.setdefault(normalised(requirement.name), []).append(requirement)
    stated["torch"] = [_torch()]
    full: list[str] = []
    bare: list[str] = []
    for line in table:
        text = _pinned(line.name, stated.get(normalised(line.name), []))
        (full if line.with_dependencies else bare).append(text)
    return Pins(full=tuple(sorted(full)), bare=tuple(sorted(bare)))


def _pinned(name: str, stated: list[Requirement]) -> str:
    for requirement in stated:
        if requirement.url is not None:
            return f"{name} @ {requirement.url}"
    specifiers = SpecifierSet()
    for requirement in stated:
        specifiers &= requirement.specifier
    # SpecifierSet keeps no order of its own; equal pins must have equal text.
    return name + ",".join(sorted(str(specifier) for specifier in specifiers))


def _torch() -> Requirement:
    text = os.environ.get(TORCH_VARIABLE) or DEFAULT_TORCH
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        requirement = None
    if requirement is None or normalised(requirement.name) != "torch":
        raise UsageError(
            f"{TORCH_VARIABLE}={text!r}: expected a requirement on torch such as {DEFAULT_TORCH}"
        )
    return requirement


def _statement(
    source: str, *, version: str | None, requires_python: str | None, requirements: Iterable[str]
) -> Statement:
    try:
        parsed = [Requirement(line) for line in requirements]
        python_range = SpecifierSet(requires_python or "")
    except (InvalidRequirement, InvalidSpecifier) as error:
        raise TargetError(f"{source}: expected requirements as in PEP 508: {error}") from error
    # Evaluating with an empty extra keeps what is needed without any extra.
    applies = [r for r in parsed if r.marker is None or r.marker.evaluate({"extra": ""})]
    return Statement(
        source=source, version=version, requires_python=python_range, requirements=tuple(applies)
    )
