"""What of this project needs more than its default installation, and the extra that brings it.

Whoever measures installs nothing of this; a command that needs an extra says so before it begins.
"""

from __future__ import annotations

from importlib.util import find_spec

from exhausters.errors import MissingExtraError

# By extra, as pyproject.toml names it: the modules that are imported.
EXTRAS = {
    "reports": ("numpy", "pandas", "ruptures", "scipy", "tabulate"),
    "mirror": ("pypi_simple", "requests", "requests_file"),
    "asv": ("asv", "asv_runner"),
    "pytest-benchmark": ("pytest", "pytest_benchmark"),
    "fuzz": ("hypothesis",),
    "ray": ("ray",),
}
_DISTRIBUTION = "sglang-exhausters"


def require_extra(extra: str, *, what: str) -> None:
    """Raise MissingExtraError unless everything that an extra brings is installed.

    Args:
        extra: one of `EXTRAS`.
        what: what needs it, as in `exhausters gate`.
    """
    missing = [module for module in EXTRAS[extra] if find_spec(module) is None]
    if missing:
        raise MissingExtraError(
            f"{what}: needs {', '.join(missing)}, not installed: pip install '{_DISTRIBUTION}[{extra}]'"
        )
