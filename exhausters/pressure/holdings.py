"""How much is held back at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class PressureHoldings(Mapping[str, int]):
    """Amounts by name, also readable as attributes: `holdings.held_tokens`.

    The names are those that the kinds of exhausters declare in `holds`: `held_tokens`, `held_pages`,
    `pinned_nodes`, `pinned_tokens`, `held_rows`, and those of any further exhauster.
    """

    def __init__(self, **amounts: int) -> None:
        self._amounts = amounts

    def __getitem__(self, name: str) -> int:
        return self._amounts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._amounts)

    def __len__(self) -> int:
        return len(self._amounts)

    def __getattr__(self, name: str) -> int:
        # `_amounts` itself is missing while an object is being copied.
        if name.startswith("_") or name not in self._amounts:
            raise AttributeError(name)
        return self._amounts[name]

    def __str__(self) -> str:
        """Every amount that is not 0, for messages; `nothing` when there is none."""
        return ", ".join(f"{name}={amount}" for name, amount in self._amounts.items() if amount) or "nothing"

    def __repr__(self) -> str:
        return f"PressureHoldings({', '.join(f'{name}={amount}' for name, amount in self._amounts.items())})"
