"""SGLang behind one seam, and packages that import only from those below them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent
_SEAM = _ROOT / "exhausters" / "engine" / "sglang"
# Attributes of SGLang's scheduler, batches, requests, pools and trees.
_SGLANG_NAMES = re.compile(
    # `tree_cache` is also a fact of ours about a boot, and so a keyword.
    r"[.\"]tree_cache\b|\b(?:token_to_kv_pool_allocator|req_to_token_pool|inc_lock_ref|dec_lock_ref|chunked_req"
    r"|waiting_queue|running_batch|forward_mode|req_pool_idx|kv_allocated_len|kv_committed_len"
    r"|cache_protected_len|retract_decode|get_next_batch_to_run|process_batch_result|_engine_paused"
    r"|evictable_size|protected_size|available_size|origin_input_ids|output_ids|extend_lens|prefix_lens"
    r"|decoding_reqs|batch_is_full|full_attn_allocator|swa_\w+|io_struct|TokenizedGenerateReqInput|root_node"
    r"|last_node|component_data|ipc_channels|run_scheduler_process|session_controller)\b"
)


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports_command as lint; lint(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture(name="copy", scope="module")
def _copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages and their contracts, to plant something in."""
    folder = tmp_path_factory.mktemp("house")
    for package in ("exhausters", "reports"):
        shutil.copytree(_ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_ROOT / "pyproject.toml", folder)
    return folder


def test_names_of_sglang_are_known_behind_the_seam_only() -> None:
    """No file outside `exhausters/engine/sglang` names an attribute of SGLang's."""
    files = [
        path
        for package in ("exhausters", "reports", "benchmarks")
        for path in (_ROOT / package).rglob("*.py")
    ]
    found = [
        f"{path.relative_to(_ROOT)}: {match.group()}"
        for path in files
        if not path.is_relative_to(_SEAM)
        for match in _SGLANG_NAMES.finditer(path.read_text())
    ]
    assert found == []


def test_contracts_hold(copy: Path) -> None:
    """The packages keep their contracts as they are; what the planted ones below break, nothing else does."""
    done = _lint(copy)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("exhausters/pressure/base.py", "from exhausters.sweep import grid", "only from packages below it"),
        ("exhausters/targets/cache.py", "from exhausters.targets import prepare", "No circle"),
        (
            "exhausters/observe/recorder.py",
            "from exhausters.engine.sglang import pools",
            "which engine it boots",
        ),
        ("exhausters/sweep/table.py", "import pandas", "Nothing that writes records"),
        ("reports/detect/change.py", "from reports.render import markdown", "flow from load to render"),
    ],
)
def test_a_planted_import_breaks_its_contract(copy: Path, file: str, line: str, broken: str) -> None:
    """`make lint` fails on an import upwards, a circle, an engine, pandas, or reports that flow back."""
    path = copy / file
    text = path.read_text()
    path.write_text(f"{text}\n{line}\n")
    try:
        done = _lint(copy)
    finally:
        path.write_text(text)
    assert done.returncode == 1, done.stdout
    assert re.search(rf"{broken}.* BROKEN", re.sub(r"\s+", " ", done.stdout))
