"""The table of distributions that a scheduler on a CPU needs, and what to do when one is missing.

SGLang states about seventy requirements; most are CUDA libraries, kernels or servers that are never
imported here. This table lists the rest: what `import sglang.srt.managers.scheduler` and a boot with
the null model need, found by importing every supported release. To add one: put a line into
`DISTRIBUTIONS`, then run `make test-releases`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from exhausters.errors import MissingModuleError

__all__ = ["DISTRIBUTIONS", "Distribution", "explain_missing_module", "normalised"]


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """One line of the table.

    Attributes:
        name: the distribution, as the package index spells it.
        modules: top-level modules that it provides.
        with_dependencies: False if its own dependencies would pull in, or move, what another line
            of the table decides (torch above all).
    """

    name: str
    modules: tuple[str, ...]
    with_dependencies: bool = True


def _line(name: str, *modules: str, with_dependencies: bool = True) -> Distribution:
    return Distribution(
        name=name, modules=modules or (name.replace("-", "_"),), with_dependencies=with_dependencies
    )


DISTRIBUTIONS: tuple[Distribution, ...] = (
    # What the model runner is built on. torch's version is decided in pins.py; torchvision has
    # its dependencies resolved together with it, which picks the one that was built for that torch.
    _line("torch"),
    _line("torchvision"),
    # Imported for its decorators only; no kernel is compiled on a CPU.
    _line("triton", with_dependencies=False),
    _line("numpy"),
    _line("scipy"),
    _line("einops"),
    # Model configuration, tokenizers and checkpoint formats, imported by the model loader.
    _line("transformers"),
    _line("tokenizers"),
    _line("sentencepiece"),
    _line("gguf"),
    _line("compressed-tensors", with_dependencies=False),
    _line("pillow", "PIL"),
    # Constrained decoding; its requirements on torch and triton are those above.
    _line("xgrammar", with_dependencies=False),
    _line("apache-tvm-ffi", "tvm_ffi"),
    # Messages between SGLang's processes, and their encodings.
    _line("pyzmq", "zmq"),
    _line("msgspec"),
    _line("orjson"),
    _line("pybase64"),
    _line("dill"),
    _line("pydantic"),
    # HTTP servers and clients: imported by server_args and utils, never started.
    _line("aiohttp"),
    _line("fastapi"),
    _line("starlette"),
    _line("uvicorn"),
    _line("requests"),
    _line("openai"),
    _line("partial-json-parser"),
    # Process and terminal plumbing.
    _line("psutil"),
    _line("setproctitle"),
    _line("packaging"),
    _line("tqdm"),
    _line("loguru"),
    _line("ipython", "IPython"),
    # Not SGLang's: test modules that hold scripts may import it.
    _line("pytest"),
)

# Import names that do not say which distribution they come from, beyond those in the table.
_ALIASES = {
    "PIL": "pillow",
    "cuda": "cuda-python",
    "cv2": "opencv-python-headless",
    "cutlass": "nvidia-cutlass-dsl",
    "dateutil": "python-dateutil",
    "decord": "decord2",
    "deep_gemm": "sgl-deep-gemm",
    "flashinfer": "flashinfer_python",
    "google": "protobuf",
    "grpc": "grpcio",
    "jwt": "PyJWT",
    "multipart": "python-multipart",
    "pynvml": "nvidia-ml-py",
    "sgl_kernel": "sglang-kernel",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "yaml": "PyYAML",
}


def normalised(name: str) -> str:
    """Return `name` as PEP 503 compares distribution names: lower case, runs of -, _ and . as one -."""
    return re.sub(r"[-_.]+", "-", name).lower()


def explain_missing_module(module_name: str, *, stated: Iterable[str] = ()) -> MissingModuleError:
    """Return (not raise) the error that says which distribution to add for `module_name`, and where.

    Args:
        module_name: dotted name, as in `ModuleNotFoundError.name`.
        stated: names of the distributions the target itself requires, to guess from.
    """
    top = module_name.partition(".")[0]
    place = "the table DISTRIBUTIONS in exhausters/targets/distributions.py"
    if top == "sglang":
        return MissingModuleError(
            f"the target has no module {module_name!r}: expected a complete SGLang; check the folder or "
            "commit, or use a target that has it",
            module=module_name,
            distribution="sglang",
        )
    listed = next((line.name for line in DISTRIBUTIONS if top in line.modules), None)
    if listed is not None:
        return MissingModuleError(
            f"the target imports {module_name!r}: expected from {listed!r}, which {place} lists, but the "
            "installed version does not provide it; compare the version with the one the target asks for, "
            "or remove the environment so that it is built again",
            module=module_name,
            distribution=listed,
        )
    distribution = _guess(top, stated)
    return MissingModuleError(
        f"the target imports {module_name!r}: no listed distribution provides it (it probably comes "
        f"from {distribution!r}); add a line for it to {place}",
        module=module_name,
        distribution=distribution,
    )


def _guess(top: str, stated: Iterable[str]) -> str:
    if top in _ALIASES:
        return _ALIASES[top]
    wanted = normalised(top)
    candidates = {wanted, f"python-{wanted}", f"py-{wanted}", f"py{wanted}", f"{wanted}-python"}
    return next((name for name in stated if normalised(name) in candidates), top)
