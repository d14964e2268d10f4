from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOW = (ROOT / "docs" / "flow.md").read_text()
# Folders that the page names as a whole.
AS_A_FOLDER = ("null_models",)


def modules() -> list[Path]:
    """Every module of the product."""
    found = [path for folder in ("exhausters", "reports") for path in (ROOT / folder).rglob("*.py")]
    return sorted(path.relative_to(ROOT) for path in found if path.name != "__init__.py")


@pytest.mark.parametrize("module", modules(), ids=str)
def test_every_module_is_on_the_road(module: Path) -> None:
    """docs/flow.md names every file of the product, so that a newcomer finds it on the road."""
    names = {module.name, f"{module.parent.name}/{module.name}", str(module)}
    names |= {f"{folder}/" for folder in AS_A_FOLDER if folder in module.parts}
    assert any(f"`{name}`" in FLOW for name in names)
