"""A comparison as JUnit XML: one test case per cell, and one for the answer.

A cell fails where it is part of what makes the answer fail; a single cell that moved in a workload whose
number did not is no failure, nor is a metric of a failing cell that the answer did not lose.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pandas as pd

from reports.detect.answer import SOMETHING_WORSE
from reports.explain.comparison import Comparison
from reports.render.escape import xml_text
from reports.vocabulary import BROKEN, TRADE_OFF, UNDECIDED, UNREACHED, WORSE

GATE_CASE = "gate"
_SUITE = "exhausters"
_FAILURE, _ERROR = "failure", "error"
_TAGS = {BROKEN: _ERROR, UNDECIDED: _ERROR, UNREACHED: _ERROR, WORSE: _FAILURE, TRADE_OFF: _FAILURE}


def render_junit(comparison: Comparison) -> str:
    """Return the XML text. The last case, `gate`, passes exactly when the exit code is 0."""
    suite = ET.Element("testsuite", name=xml_text(f"{_SUITE}: {comparison.base} to {comparison.head}"))
    by_cell = dict(iter(comparison.verdicts.groupby("cell", sort=False)))
    lost = _lost_metrics(comparison)
    counts = dict.fromkeys((_FAILURE, _ERROR), 0)
    for row in comparison.cells.to_dict("records"):
        cell, verdict = str(row["cell"]), str(row["verdict"])
        case = ET.SubElement(suite, "testcase", classname=_SUITE, name=xml_text(cell))
        if _TAGS.get(verdict) == _ERROR or cell in lost:
            verdict = verdict if _TAGS.get(verdict) == _ERROR else WORSE
            counts[_TAGS[verdict]] += 1
            rows = by_cell[cell]
            told = rows if verdict != WORSE else rows[rows["metric"].isin(lost[cell])]
            _add_result(case, verdict, _lines(told, verdict), _TAGS[verdict])
    gate = ET.SubElement(suite, "testcase", classname=_SUITE, name=GATE_CASE)
    answer = comparison.decision
    if answer.exit_code:
        tag = _FAILURE if answer.exit_code == SOMETHING_WORSE else _ERROR
        counts[tag] += 1
        _add_result(gate, answer.verdict, [answer.sentence, *answer.reasons], tag)
    suite.set("tests", str(len(comparison.cells) + 1))
    suite.set("failures", str(counts["failure"]))
    suite.set("errors", str(counts["error"]))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _lost_metrics(comparison: Comparison) -> dict[str, set[str]]:
    """By cell, what it lost of that which the answer lost."""
    lost: dict[str, set[str]] = {}
    if comparison.decision.exit_code == SOMETHING_WORSE:
        for one in comparison.effects:
            for cell in one.worse_cells if one.verdict == WORSE else ():
                lost.setdefault(cell, set()).add(one.metric)
    return lost


def _add_result(case: ET.Element, verdict: str, lines: list[str], tag: str) -> None:
    result = ET.SubElement(case, tag, type=verdict, message=xml_text(lines[0] if lines else verdict))
    result.text = xml_text("\n".join(lines))


def _lines(rows: pd.DataFrame, verdict: str) -> list[str]:
    shown = rows[(rows["judged"] == verdict) & (rows["waived"] == "")]
    return [
        " ".join(
            filter(None, (str(row["metric"]), verdict, _values(row["base"], row["head"]), str(row["reason"])))
        )
        for row in shown.to_dict("records")
    ]


def _values(base: object, head: object) -> str:
    known = isinstance(base, float) and isinstance(head, float) and base == base and head == head
    return f"{base:g} to {head:g}" if known else ""
