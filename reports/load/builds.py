"""Pick one build out of results: `PATH` when they hold one, `PATH@BUILD` when they hold several."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from packaging.version import InvalidVersion, Version

from reports.errors import SelectionError
from reports.load.frame import Results
from reports.load.load_results import load_results
from reports.vocabulary import OUTCOME

# What distinguishes builds.
BUILD = ["target", "commit"]
_DATES = ("date", "committed", "measured")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The results of one build.

    Attributes:
        label: name of the build, for readers.
        results: its rows only.
    """

    label: str
    results: Results


def load_side(text: str) -> Side:
    """Load `PATH` or `PATH@BUILD`; BUILD is a target, a version, or the beginning of a commit.

    Raises:
        SelectionError: the path holds no such build, or several.
        ResultFileError: the path cannot be read.
    """
    path, _, selector = text.rpartition("@") if not Path(text).exists() else (text, "", "")
    # A target can contain an @ itself: git:DIR@REV.
    while path and not Path(path).exists() and "@" in path:
        path, _, rest = path.rpartition("@")
        selector = f"{rest}@{selector}"
    return pick(load_results([path or text]), selector or None)


def pick(results: Results, selector: str | None = None) -> Side:
    """Return the rows of one build; raises SelectionError when none or several match."""
    builds = list_builds(results.frame)
    chosen = builds if selector is None else builds[_matches(builds, selector)]
    if len(chosen) != 1:
        available = ", ".join(sorted(builds["target"].astype(str)))
        problem = "more than one build" if selector is None else f"{len(chosen)} builds named {selector!r}"
        raise SelectionError(f"{problem}; available: {available}; choose one with PATH@BUILD")
    build = chosen.iloc[0]
    rows = results.frame["target"] == build["target"]
    if isinstance(build["commit"], str):
        rows &= results.frame["commit"] == build["commit"]
    return Side(label=str(build["target"]), results=results.select(rows))


def list_builds(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per build (target, commit, version, date), oldest first.

    Builds are ordered by version where all have one of their own. Otherwise by the dates of their commits
    where all have one, else by when they were measured; then commits that a repository knows stand in its
    order, in the places that they take together (see `reports.load.commits`).
    """
    rows = frame.loc[frame["metric"] == OUTCOME, [*BUILD, "version", *_DATES, "place"]].astype(
        {"target": object, "commit": object, "version": object}
    )
    builds = rows.groupby(BUILD, dropna=False, sort=False, as_index=False).agg(
        {"version": "first", **dict.fromkeys(_DATES, "min"), "place": "first"}
    )
    versions = [_version(text) for text in builds["version"]]
    if all(versions) and len(set(versions)) == len(versions):
        order = sorted(range(len(builds)), key=lambda index: versions[index] or Version("0"))
        return builds.iloc[order].reset_index(drop=True)
    # A commit is older than the sweep of a release that was published before it: the two dates do not mix.
    by = ["committed", "measured"]
    if builds["committed"].isna().any():
        by, builds["measured"] = ["measured"], builds["measured"].fillna(builds["date"])
    return _in_place(builds.sort_values(by, kind="stable").reset_index(drop=True))


def _in_place(builds: pd.DataFrame) -> pd.DataFrame:
    """Builds with a place in ascending order of it; the others stay where they are."""
    known = builds.index[builds["place"].notna()]
    order = builds.index.to_numpy(copy=True)
    order[known] = builds.loc[known].sort_values("place", kind="stable").index
    return builds.loc[order].reset_index(drop=True)


def list_targets(frame: pd.DataFrame) -> list[str]:
    """Return the builds' targets, oldest first; one that was measured at two commits counts once."""
    return list(dict.fromkeys(list_builds(frame)["target"]))


def _version(text: object) -> Version | None:
    try:
        return Version(str(text))
    except InvalidVersion:
        return None


def _matches(builds: pd.DataFrame, selector: str) -> pd.Series[bool]:
    exact = (builds["target"] == selector) | (builds["version"] == selector)
    if bool(exact.any()):
        return exact
    return builds["commit"].map(lambda commit: isinstance(commit, str) and commit.startswith(selector))
