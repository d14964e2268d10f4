"""Stands for packages of CUDA kernels where modules of SGLang's import them and never call them.

Builds up to June 2026 import SGLang's own unconditionally on the scheduler's way in, and the released package
does not load without CUDA; 0.5.6 imports vLLM's on a CPU. A package is stood in for only when an import has
failed for want of it: builds that do without it, and modules that look whether it is there, see none.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import Any, NoReturn

from exhausters.errors import SeamError

# By the name of the package, the module of it that is stood in for, with all that is below it. Of vLLM's no
# other is found: other modules look whether they are there.
PACKAGES: Mapping[str, str] = MappingProxyType(
    {"sgl_kernel": "sgl_kernel", "vllm": "vllm.model_executor.layers.activation"}
)


def import_with_kernels(module: str) -> Any:
    """Import and return a module of SGLang's, with stand-ins for the packages whose lack ends the import.

    Raises:
        ModuleNotFoundError: another module is not there.
    """
    while True:
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in PACKAGES or stands_in_for(package):
                raise
            # First of all: those after it note what cannot be found.
            sys.meta_path.insert(0, _Finder(package))


def stands_in_for(package: str) -> bool:
    """Whether a package is stood in for."""
    return any(isinstance(one, _Finder) and one.package == package for one in sys.meta_path)


def leave_unquantized() -> None:
    """Let a model be made without torchao, which 0.5.8 and older import to quantize nothing."""
    name = "apply_torchao_config_to_model"
    for where, module in list(sys.modules.items()):
        if where.startswith("sglang.") and module is not None and name in vars(module):
            setattr(module, name, _unquantized)


def leave_uncompiled() -> None:
    """Run functions that are marked for torch's compiler as they are.

    0.5.9 and older compile a small function of the batch's positions on a CPU too, which takes a C++ compiler
    and minutes.
    """
    import torch

    torch.compiler.set_stance("force_eager")


def _unquantized(model: Any, config: str, *_more: object) -> Any:
    if config:
        raise SeamError(f"torchao_config={config!r}: torchao quantizes weights, which a null model has not")
    return model


class Kernel:
    """What a name of a package stands for: a function that refuses to be called, or a table of such."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __getattr__(self, name: str) -> Kernel:
        if name.startswith("__"):
            raise AttributeError(name)
        return Kernel(f"{self._where}.{name}")

    def __call__(self, *_arguments: object, **_keywords: object) -> NoReturn:
        """Refuse; raises SeamError."""
        raise SeamError(f"{self._where}: a CUDA kernel was called, which has no stand-in on a CPU")


class _Kernels(ModuleType):
    """A module that has every name that is not special."""

    def __getattr__(self, name: str) -> Kernel:
        if name.startswith("__"):
            raise AttributeError(name)
        return Kernel(f"{self.__name__}.{name}")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find what is stood in for, and the packages that it is in."""
        if not (_is_within(name, PACKAGES[self.package]) or _is_within(PACKAGES[self.package], name)):
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Make a module that has every name, or a package around one."""
        is_stood_in_for = _is_within(spec.name, PACKAGES[self.package])
        return _Kernels(spec.name) if is_stood_in_for else ModuleType(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


def _is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")
