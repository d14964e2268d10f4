"""A comparison as JUnit XML: one test case per cell, so that any CI shows which ones are worse."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pandas as pd

from reports.explain.comparison import Comparison
from reports.render.escape import xml_text
from reports.vocabulary import BROKEN, UNDECIDED, WORSE

GATE_CASE = "gate"
_SUITE = "exhausters"
# A worse cell is a failure; a broken or undecided one is an error.
_TAGS = {WORSE: "failure", BROKEN: "error", UNDECIDED: "error"}


def render_junit(comparison: Comparison) -> str:
    """Return the XML text. The last case, `gate`, passes exactly when the exit code is 0."""
    suite = ET.Element("testsuite", name=xml_text(f"{_SUITE}: {comparison.base} to {comparison.head}"))
    by_cell = dict(iter(comparison.verdicts.groupby("cell", sort=False)))
    counts = dict.fromkeys(("failure", "error"), 0)
    for row in comparison.cells.to_dict("records"):
        verdict = str(row["verdict"])
        case = ET.SubElement(suite, "testcase", classname=_SUITE, name=xml_text(row["cell"]))
        if verdict in _TAGS:
            counts[_TAGS[verdict]] += 1
            _add_result(case, verdict, _lines(by_cell[row["cell"]], verdict))
    gate = ET.SubElement(suite, "testcase", classname=_SUITE, name=GATE_CASE)
    if comparison.decision.exit_code:
        verdict = comparison.decision.verdict
        counts[_TAGS[verdict]] += 1
        _add_result(gate, verdict, list(comparison.decision.reasons))
    suite.set("tests", str(len(comparison.cells) + 1))
    suite.set("failures", str(counts["failure"]))
    suite.set("errors", str(counts["error"]))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_result(case: ET.Element, verdict: str, lines: list[str]) -> None:
    result = ET.SubElement(
        case, _TAGS[verdict], type=verdict, message=xml_text(lines[0] if lines else verdict)
    )
    result.text = xml_text("\n".join(lines))


def _lines(rows: pd.DataFrame, verdict: str) -> list[str]:
    shown = rows[(rows["verdict"] == verdict) & (rows["waived"] == "")]
    return [
        " ".join(
            filter(None, (str(row["metric"]), verdict, _values(row["base"], row["head"]), str(row["reason"])))
        )
        for row in shown.to_dict("records")
    ]


def _values(base: object, head: object) -> str:
    known = isinstance(base, float) and isinstance(head, float) and base == base and head == head
    return f"{base:g} to {head:g}" if known else ""
