"""The answer and what it is made of, as plain JSON values."""

from __future__ import annotations

import math
from typing import Any

from reports.detect.effect import Effect
from reports.detect.effect_words import Movement
from reports.detect.materiality import Change
from reports.explain.comparison import Comparison


def answer_document(comparison: Comparison) -> dict[str, Any]:
    """Return the answer.

    {"answer": {"verdict", "exit_code", "sentence", "reasons": [text], "cost", "reach"
                "claim": {"claim", "holds", "reason"}            "holds" is null where it was not checked
                "won", "lost": [{"metric", "role", "change", "where", "text", "workloads": [text],
                                 "settings": [text]}]}           settings: of engine, where it is about some
     "effects": [{"workload", "settings", "metric", "role", "unit", "better", "verdict", "threshold", "rule"
                  "change": null or {"base", "head", "size", "text"}, "by_pressure": {pressure: change}
                  "pressures": [text], "cells", "worse_cells": [id], "better_cells": [id]
                  "reasons": [text]}]}
    """
    answer = comparison.decision
    return {
        "answer": {
            "verdict": answer.verdict,
            "exit_code": answer.exit_code,
            "sentence": answer.sentence,
            "reasons": list(answer.reasons),
            "cost": answer.cost,
            "reach": answer.reach,
            "claim": {
                "claim": answer.claim.claim,
                "holds": answer.claim.holds,
                "reason": answer.claim.reason,
            },
            "won": [_movement(one) for one in answer.won],
            "lost": [_movement(one) for one in answer.lost],
        },
        "effects": [_effect(one) for one in comparison.effects],
    }


def _movement(one: Movement) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "role": one.role,
        "change": one.change,
        "where": one.where,
        "text": one.text,
        "workloads": list(dict.fromkeys(effect.workload for effect in one.effects)),
        "settings": list(dict.fromkeys(effect.settings for effect in one.effects if effect.settings)),
    }


def _effect(one: Effect) -> dict[str, Any]:
    return {
        "workload": one.workload,
        "settings": one.settings,
        "metric": one.metric,
        "role": one.role,
        "unit": one.unit,
        "better": one.better,
        "verdict": one.verdict,
        "threshold": one.threshold,
        "rule": one.rule,
        "change": _change(one.change),
        "by_pressure": {pressure: _change(change) for pressure, change in one.by_pressure.items()},
        "pressures": list(one.pressures),
        "cells": one.cells,
        "worse_cells": list(one.worse_cells),
        "better_cells": list(one.better_cells),
        "reasons": list(one.reasons),
    }


def _change(change: Change | None) -> dict[str, Any] | None:
    if change is None:
        return None
    numbers = {"base": change.base, "head": change.head, "size": change.size}
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()} | {
        "text": change.text
    }
