"""An installer that writes a few small files instead of running uv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from exhausters.errors import InstallError

METADATA = """\
Metadata-Version: 2.4
Name: sglang
Version: {version}
Requires-Python: >=3.10
Requires-Dist: transformers=={transformers}
Requires-Dist: torch==2.11.0

Requires-Dist: not-a-header
"""


class FakeInstaller:
    """Records what it was asked; knows the releases it was given and nothing else.

    Attributes:
        calls: one tuple per call: the method, then what was asked for.
    """

    def __init__(self, *, transformers_of: dict[str, str] | None = None, fails: bool = False) -> None:
        self.calls: list[tuple[str, ...]] = []
        self._transformers_of = transformers_of or {}
        self._fails = fails

    def create_environment(self, folder: Path, *, python: Path) -> None:
        self.calls.append(("create", str(python)))
        (folder / "bin").mkdir()
        (folder / "bin" / "python").symlink_to(python)

    def install(
        self,
        requirements: Sequence[str],
        *,
        python: Path,
        with_dependencies: bool = True,
        folder: Path | None = None,
    ) -> None:
        self.calls.append(("full" if with_dependencies else "bare", *requirements))
        if self._fails:
            raise InstallError("the network is down")
        if folder is not None:
            self._unpack(requirements[0].partition("==")[2], folder)

    def installed(self, *, python: Path) -> tuple[str, ...]:
        self.calls.append(("installed",))
        return ("fake==1",)

    def _unpack(self, version: str, folder: Path) -> None:
        if version not in self._transformers_of:
            raise InstallError(f"Because there is no version of\nsglang=={version} and you require it")
        information = folder / f"sglang-{version}.dist-info"
        (folder / "sglang" / "srt").mkdir(parents=True)
        (folder / "sglang" / "__init__.py").touch()
        information.mkdir()
        text = METADATA.format(version=version, transformers=self._transformers_of[version])
        (information / "METADATA").write_text(text)
