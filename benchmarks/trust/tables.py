"""The tables of docs/trust.md, from results on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.trust.against_itself import Alarms, alarms
from benchmarks.trust.answers import Answered, faults
from benchmarks.trust.plants import Plant
from benchmarks.trust.power import BLOCKS
from reports.vocabulary import BETTER, SAME, WORSE

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
_SENTENCE = 150
_TOOLS = {"asv": "asv", "pytest_benchmark": "pytest-benchmark"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantResult:
    """A plant with what was answered in both directions, and what other tools say of its pairs.

    Attributes:
        asv, pytest_benchmark: of the release against the plant, and swapped; empty without pairs.
    """

    plant: Plant
    forward: Answered
    backward: Answered
    asv: tuple[str, str] | tuple[()] = ()
    pytest_benchmark: tuple[str, str] | tuple[()] = ()

    @property
    def faults(self) -> tuple[str, ...]:
        """What is not right."""
        return faults(self.plant, self.forward, self.backward)


def plants_table(results: Sequence[PlantResult]) -> str:
    """Return the table of plants, a summary line before it and every miss behind it."""
    wrong = [one for one in results if one.faults]
    timed = [one for one in results if one.asv]
    lines = [
        f"{len(results)} plants, each in both directions: {len(results) - len(wrong)} right, "
        f"{len(wrong)} wrong.",
        "",
        "| plant | what it does | expected | answered | swapped | right |",
        "|---|---|---|---|---|---|",
        *(_plant_row(one) for one in results),
        "",
        "What was said of each, in the first direction:",
        "",
        *(f"* `{one.plant.name}`: {_short(one.forward.sentence)}" for one in results),
        "",
        "Misses:" if wrong else "No miss.",
        *(["", *(f"* `{one.plant.name}`: {'; '.join(one.faults)}" for one in wrong)] if wrong else []),
    ]
    if timed:
        lines += ["", *_tools_on_plants(timed)]
    return "\n".join(lines)


def _plant_row(one: PlantResult) -> str:
    plant = one.plant
    where = ", ".join(
        filter(
            None,
            (
                plant.role,
                plant.phase and f"phase `{plant.phase}`",
                plant.under and f"under {' and '.join(plant.under)} pressure",
                plant.not_under and f"not under {' and '.join(plant.not_under)}",
                plant.pairs and "timed",
            ),
        )
    )
    expected = " or ".join(plant.expect) + (f" ({where})" if where else "")
    right = "no" if one.faults else "yes"
    cells = (f"`{plant.name}`", plant.does, expected, one.forward.verdict, one.backward.verdict, right)
    return f"| {' | '.join(cells)} |"


def _tools_on_plants(results: Sequence[PlantResult]) -> Iterator[str]:
    yield "The same pairs, judged by three rules (loss, and swapped):"
    yield ""
    yield "| plant | here | asv, factor 1.1 | pytest-benchmark, `mean:10%` |"
    yield "|---|---|---|---|"
    for one in results:
        here = (one.forward.verdict, one.backward.verdict)
        cells = (f"`{one.plant.name}`", *(", ".join(pair) for pair in (here, one.asv, one.pytest_benchmark)))
        yield f"| {' | '.join(cells)} |"
    yield ""
    right = [sum((one.forward.verdict, one.backward.verdict) == (WORSE, BETTER) for one in results)]
    right.append(sum(one.asv == (WORSE, BETTER) for one in results))
    # It has no word for a gain: not calling the swapped pair a loss is all it can do.
    right.append(sum(one.pytest_benchmark == (WORSE, SAME) for one in results))
    counts = ", ".join(
        f"{words} {count} of {len(results)}"
        for words, count in zip(("here", "asv", "pytest-benchmark (no gains)"), right, strict=True)
    )
    yield f"Sign right in both directions: {counts}."


def against_itself_table(results: Sequence[dict[str, Any]]) -> str:
    """Return the table of false alarms."""
    lines = [
        "| | comparisons | exact alarms | host-time alarms | share, 95 % interval | asv | pytest-benchmark |",
        "|---|---|---|---|---|---|---|",
    ]
    for words, load in (("idle", False), ("under load", True), ("all", None)):
        found = {name: alarms(results, name, load=load) for name in ("exact_alarms", "host_alarm", *_TOOLS)}
        host = found["host_alarm"]
        if host.comparisons:
            cells = [words, str(host.comparisons), str(found["exact_alarms"].alarms), str(host.alarms)]
            cells += [_share(host), *(_share(found[name], is_long=True) for name in _TOOLS)]
            lines.append(f"| {' | '.join(cells)} |")
    tests, raised = (sum(one[name] for one in results) for name in ("cell_tests", "cell_alarms"))
    lines += ["", f"Of {tests:,} tests of single host times in single cells, {raised} raised an alarm."]
    return "\n".join(lines)


def power_table(results: Sequence[dict[str, Any]]) -> str:
    """Return the power curve: which share of blocks of pairs was found worse."""
    lines = [
        "| planted | achieved | pairs | blocks | found | called a gain | asv | pytest-benchmark |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for percent in sorted({one["percent"] for one in results}):
        own = [one for one in results if one["percent"] == percent]
        achieved = sorted(one["achieved"] for one in own)
        for size in BLOCKS:
            said = {
                name: [word for one in own for word in one[f"{name}_{size}"]] for name in ("found", *_TOOLS)
            }
            count = len(said["found"])
            losses = {name: sum(word == WORSE for word in words) for name, words in said.items()}
            cells = [
                f"{percent} %",
                f"{achieved[0]:+.1%} to {achieved[-1]:+.1%}",
                str(size),
                str(count),
                f"{losses['found'] / count:.0%}",
                str(sum(word == BETTER for word in said["found"])),
                *(f"{losses[name] / count:.0%}" for name in _TOOLS),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _share(found: Alarms, *, is_long: bool = False) -> str:
    low, high = found.interval
    text = f"{found.alarms / found.comparisons:.1%} ({low:.1%} to {high:.1%})"
    return f"{found.alarms}: {text}" if is_long else text


def _short(sentence: str) -> str:
    text = sentence.replace("|", "/").replace("\n", " ")
    return text if len(text) <= _SENTENCE else f"{text[: _SENTENCE - 1].rsplit(' ', 1)[0]} …"
