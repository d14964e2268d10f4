"""Oracles: promises that a scheduler keeps at every step, judged on one build alone."""

from exhausters.oracles.base import Finding, Judgement, PromiseJudged, Requests
from exhausters.oracles.judge import Judge
from exhausters.oracles.registry import PROMISES

__all__ = ["PROMISES", "Finding", "Judge", "Judgement", "PromiseJudged", "Requests"]
