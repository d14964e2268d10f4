"""What a workload's one number dilutes: a loss or a win under some of its engine settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from exhausters.observe.smallest_effects import COUNTS, NOT_IN_CPU_TIME
from reports.detect.config import Config
from reports.detect.effect import Effect
from reports.detect.materiality import is_material, smallest_effect
from reports.detect.workload_numbers import change_over, judged_rows, numbers_of
from reports.vocabulary import BETTER, CHANGED, WORSE


def with_settings(
    numbers: Sequence[Effect], rows: pd.DataFrame, config: Config, *, timed: frozenset[str]
) -> Iterator[Effect]:
    """Return the numbers of a workload, each with those of its engine settings that say something else.

    What matters under some settings, and not over all of them, or there the other way, is an effect of its
    own. Where all that matters over all settings comes from some of them, theirs take its place.

    Args:
        numbers: over all cells of the workload.
        rows: the verdicts on these cells, with `settings`.
        config: smallest effects.
        timed: settings in which CPU time was measured in pairs, and decides instead of the counts; also of
            the counts of other settings that moved by as much, up to a smallest effect.
    """
    parts = {str(words): part for words, part in rows.groupby("settings", sort=False)}
    if len(parts) < 2 or not numbers:
        yield from numbers
        return
    single = {
        words: {
            one.metric: one
            for one in numbers_of(numbers[0].workload, part, config, is_timed=words in timed, settings=words)
        }
        for words, part in parts.items()
    }
    single = {
        words: by_metric if words in timed else _overruled(by_metric, [single[one] for one in timed])
        for words, by_metric in single.items()
    }
    for whole in numbers:
        found = [by_metric[whole.metric] for by_metric in single.values() if whole.metric in by_metric]
        found = [one for one in found if one.verdict in (WORSE, BETTER)]
        alike = [one for one in found if one.verdict == whole.verdict]
        if alike and _comes_from(alike, whole, parts, config):
            rule = f"{whole.rule}; all of it {' and '.join(one.settings for one in alike)}"
            yield replace(whole, verdict=CHANGED, rule=rule)
            yield from found
        else:
            yield whole
            yield from (one for one in found if one.verdict != whole.verdict)


def _overruled(by_metric: Mapping[str, Effect], timed: Sequence[Mapping[str, Effect]]) -> dict[str, Effect]:
    """Let measured time decide for counts of other settings, too, where these moved as the timed ones did."""
    return {
        metric: _as_timed(one, [known.get(metric) for known in timed]) for metric, one in by_metric.items()
    }


def _as_timed(one: Effect, timed: Sequence[Effect | None]) -> Effect:
    if one.metric not in COUNTS or one.metric in NOT_IN_CPU_TIME or one.change is None:
        return one
    known = [effect.change.size for effect in timed if effect is not None and effect.change is not None]
    if not known or min(abs(one.change.size - size) for size in known) >= one.threshold:
        return one
    rule = "CPU time was measured in pairs with other settings, where this count moved alike, and decides"
    return replace(one, verdict=CHANGED, rule=rule) if one.verdict in (WORSE, BETTER) else one


def _comes_from(
    alike: Sequence[Effect], whole: Effect, parts: Mapping[str, pd.DataFrame], config: Config
) -> bool:
    """Whether at most half of the settings make it, and the others less than half of what matters."""
    named = {one.settings for one in alike}
    others = [part for words, part in parts.items() if words not in named]
    effect = smallest_effect(whole.metric, config.smallest_effect, config.smallest_cell_effect)
    if len(others) < len(alike) or effect is None or whole.change is None:
        return False
    rows = pd.concat(others)
    rows = judged_rows(rows[rows["metric"] == whole.metric])
    if rows.empty:
        return True
    rest = change_over(rows, effect)
    return rest.size * whole.change.size <= 0 or not is_material(rest, effect, effect.workload / 2)
