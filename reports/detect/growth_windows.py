"""Whether the windows of a growth measurement did the same work, so that their slopes say something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from exhausters.growth.measure import PointRun
from exhausters.growth.window import LEAF_TOKENS, Sizes, Window
from exhausters.growth.window_work import different_work, size_not_kept


def obstacles(
    runs: Sequence[PointRun], *, base: str, head: str | None, units: Mapping[str, str]
) -> dict[str, str]:
    """Return, for each axis whose slopes are of different work, why: the first reason, at the smallest size.

    A window must have kept its queue or its tree at the size that was asked for, have done what the first
    window of its build did, and what that of the other build did.

    Args:
        runs: what was measured.
        base, head: names of the builds; head None for one build.
        units: what each axis counts; only its axes are looked at.
    """
    found: dict[str, str] = {}
    for run in sorted(runs, key=lambda one: one.point.size):
        axis = run.point.axis
        if axis not in units or axis in found or run.window is None:
            continue
        mine = [one for one in runs if one.point == run.point and one.window is not None]
        reason = _not_kept(run) or _unequal(run, mine, base, head)
        if reason:
            found[axis] = f"at {run.point.size:,} {units[axis]}: {reason}"
    return found


def _not_kept(run: PointRun) -> str:
    assert run.window is not None
    reason = size_not_kept(run.point, run.window.work, leaf_tokens=LEAF_TOKENS)
    return f"{run.target} did not keep the size: {reason}" if reason else ""


def _unequal(run: PointRun, runs: Sequence[PointRun], base: str, head: str | None) -> str:
    """How a window differs from the first of its own build, or, of head, from the first of base."""
    assert run.window is not None
    first = {target: _first(runs, target) for target in (base, head) if target is not None}
    own = first.get(run.target)
    if own is not None and (repeated := _differences(own, run.window)):
        return f"two windows of {run.target} did not do the same: {repeated}"
    other = first.get(base)
    if run.target == head and other is not None and (between := _differences(other, run.window)):
        return f"the builds did not do the same: {between}"
    return ""


def _first(runs: Sequence[PointRun], target: str) -> Window | None:
    return next((one.window for one in runs if one.target == target), None)


def _differences(base: Window, head: Window) -> str:
    if base.digest == head.digest and (base.before, base.after) == (head.before, head.after):
        return ""
    sizes = [
        f"{one.name.replace('_', ' ')} {when} {ours:,} → {theirs:,}"
        for when, left, right in (
            ("at the start", base.before, head.before),
            ("at the end", base.after, head.after),
        )
        for one in fields(Sizes)
        if (ours := getattr(left, one.name)) != (theirs := getattr(right, one.name))
    ]
    return ", ".join(filter(None, (*sizes, different_work(base.work, head.work))))
