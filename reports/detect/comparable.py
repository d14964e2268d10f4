"""Refuse to compare what cannot be compared, and say why.

The *requested* tree core is an axis and must be equal. What `default` resolves to is a property of the build:
releases up to 0.5.18 have one core, later ones default to another. Such a difference is a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from exhausters.observe.metrics import HOST, KINDS, WORK
from reports.errors import NotComparableError
from reports.load.builds import Side
from reports.vocabulary import OUTCOME

# Column, what it is for a reader, kinds that cannot be compared when it differs, what to do.
SAME_EVERYWHERE = (
    ("harness_schema", "harness schema", KINDS, "run both with one harness"),
    ("grid_digest", "grid", KINDS, "sweep both with one grid"),
    ("forward_time_model", "forward-time model", KINDS, "run both with one model"),
    ("clock", "clock", KINDS, "run both with one clock"),
    ("python_version", "Python version", (WORK, HOST), "run both with one Python"),
    ("torch_version", "torch version", (WORK, HOST), "run both with one torch"),
    ("machine", "machine", (HOST,), "run both on one machine"),
)
SAME_IN_EACH_CELL = (
    ("workload_digest", "workload digest", KINDS, "build the workload with one harness"),
    ("page_size", "page size", KINDS, "sweep both with one page size"),
    ("actual_page_size", "page size that SGLang used", KINDS, "choose a page size both accept"),
    ("tree_core", "requested tree core", KINDS, "ask both for one core"),
)
_SHOWN_VALUES = 3
# Added where two tree cores differ: a release has a compiled one, a commit of a clone has none. The grid
# `clone` asks for the Python core, and would be no advice to those who did.
_CORE_ADVICE = "; unless that is the change itself, sweep both with --grid clone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One reason why results cannot be compared.

    Attributes:
        field: what differs, in plain words.
        base, head: its values there.
        kinds: kinds of metric it rules out; all of them means that nothing is compared.
        advice: what to do.
    """

    field: str
    base: str
    head: str
    kinds: tuple[str, ...]
    advice: str

    @property
    def is_total(self) -> bool:
        """Whether nothing at all can be compared."""
        return self.kinds == KINDS

    def __str__(self) -> str:
        what = "" if self.is_total else f" (only {' and '.join(self.kinds)} metrics)"
        return f"{self.field} differs{what}: base {self.base}, head {self.head}; {self.advice}"


def refusals(base: Side, head: Side) -> tuple[Refusal, ...]:
    """Return every reason against comparing, empty when there is none."""
    return tuple(_refusals(base, head))


def _refusals(base: Side, head: Side) -> Iterator[Refusal]:
    ours, theirs = _runs(base), _runs(head)
    for column, words, kinds, advice in SAME_EVERYWHERE:
        left, right = _values(ours[column]), _values(theirs[column])
        # A value that only one side reports is no difference; two values on one side are.
        if (left and right and left != right) or len(left) > 1 or len(right) > 1:
            yield Refusal(field=words, base=_shown(left), head=_shown(right), kinds=kinds, advice=advice)
    both = ours.merge(theirs, on="cell", suffixes=("_base", "_head"))
    if both.empty:
        yield Refusal(
            field="cells",
            base=_shown(_values(ours["cell"])),
            head=_shown(_values(theirs["cell"])),
            kinds=KINDS,
            advice="no cell is in both; sweep both with one grid",
        )
    for column, words, kinds, advice in SAME_IN_EACH_CELL:
        left_values, right_values = both[f"{column}_base"], both[f"{column}_head"]
        known = left_values.notna() & right_values.notna()
        differ = known & (left_values.astype(object) != right_values.astype(object))
        if bool(differ.any()):
            yield Refusal(
                field=words,
                base=_shown(_values(left_values[differ])),
                head=_shown(_values(right_values[differ])),
                kinds=kinds,
                advice=f"{advice} ({int(differ.sum())} cells)",
            )


def require_one_range(rows: pd.DataFrame) -> None:
    """Refuse a range of builds that were not measured alike, by the rules that hold for two.

    Args:
        rows: a tidy frame of all builds (see `reports.load.frame`).

    Raises:
        NotComparableError: names what differs, and what to do.
    """
    runs = rows[rows["metric"] == OUTCOME]
    for column, words, kinds, advice in SAME_EVERYWHERE:
        values = _values(runs[column])
        if kinds == KINDS and len(values) > 1:
            raise NotComparableError(f"{words} differs over the range ({_shown(values)}): {advice}")
    for column, words, _, advice in SAME_IN_EACH_CELL:
        known = runs[["cell", column]].astype(object).dropna()
        counts = known.groupby("cell")[column].nunique()
        if bool((counts > 1).any()):
            raise NotComparableError(
                f"{words} differs over the range in {int((counts > 1).sum())} cells, first "
                f"{counts.index[counts > 1][0]!r}: {advice}"
            )


def work_environments(rows: pd.DataFrame, builds: Sequence[str]) -> list[str | None]:
    """Return, for each build, what its counts of work depend on beside itself; None where that is not known.

    Counts of two builds are compared only where this is equal: a Python or a torch of another version makes
    other calls.
    """
    runs = rows[rows["metric"] == OUTCOME]
    columns = [column for column, _, kinds, _ in SAME_EVERYWHERE if WORK in kinds and kinds != KINDS]
    found: list[str | None] = []
    for build in builds:
        own = runs[runs["target"] == build]
        values = [_values(own[column]) for column in columns]
        found.append("; ".join(map(_shown, values)) if all(values) else None)
    return found


def comparison_notes(base: Side, head: Side) -> tuple[str, ...]:
    """Return differences that are allowed and that a reader should know about."""
    ours, theirs = _runs(base), _runs(head)
    notes = []
    for column, words in (("actual_tree_core", "tree core"), ("harness_version", "harness version")):
        left, right = _values(ours[column]), _values(theirs[column])
        if left != right:
            note = f"{words}: base {_shown(left)}, head {_shown(right)}"
            asked = {*_values(ours["tree_core"]), *_values(theirs["tree_core"])}
            advise = column == "actual_tree_core" and asked != {"python"}
            notes.append(note + (_CORE_ADVICE if advise else ""))
    for side, name in ((base, "base"), (head, "head")):
        if any(bool(facts.get("dirty")) for facts in _runs(side)["provenance"]):
            notes.append(f"{name} has uncommitted changes")
    return tuple(notes)


def _runs(side: Side) -> pd.DataFrame:
    frame = side.results.frame
    return frame[frame["metric"] == OUTCOME]


def _values(column: pd.Series) -> list[str]:
    return sorted(column.dropna().astype(str).unique())


def _shown(values: list[str]) -> str:
    more = f" and {len(values) - _SHOWN_VALUES} more" if len(values) > _SHOWN_VALUES else ""
    return (", ".join(values[:_SHOWN_VALUES]) or "unknown") + more
