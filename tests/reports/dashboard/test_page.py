"""Promises of the dashboard's file: small, closed to the network, and text stays text."""

from __future__ import annotations

import base64
import hashlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from exhausters.observe.step_record import StepRecord
from reports.dashboard.page import pack, render_dashboard
from reports.dashboard.report_folder import write_report
from reports.dashboard.timeline import MAX_POINTS, timeline
from reports.detect.config import Config
from reports.explain.report import make_report
from reports.load.load_results import load_results
from tests.reports.dashboard.pages import (
    HOSTILE,
    data_of,
    hostile_report,
    large_report,
    page_text,
    report_document,
    unpack,
)
from tests.reports.make import METRICS, cells, write_pairs, write_sweep

LIMIT = 5_000_000
# Attributes by which a page loads something.
_LOADING = {"src", "srcset", "data", "poster", "action", "background"}


class _Tags(HTMLParser):
    """What a browser would see: tags with attributes, and the text inside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and data.strip():
            self.texts.append((self._inside, data))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return large_report(tmp_path_factory.mktemp("large"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_report(tmp_path_factory.mktemp("hostile"))


def test_ten_releases_of_120_cells_fit(large: Path) -> None:
    """The worst there can be: every value of every metric differs, and so does every step."""
    page = data_of(page_text(large))
    assert (len(page["builds"]), len(page["cells"])) == (10, 120)
    assert all(page["timelines"]["head"])
    assert len(page_text(large).encode()) < LIMIT


def test_every_metric_build_and_cell_of_the_document_is_shown(large: Path) -> None:
    page, results = data_of(page_text(large)), report_document(large)["results"]
    assert {one["name"] for one in page["metrics"]} == {one["name"] for one in results["metrics"]}
    assert [one["version"] for one in page["builds"]] == [one["version"] for one in results["builds"]]
    assert [one["id"] for one in page["cells"]] == [one["id"] for one in results["cells"]]


@pytest.mark.parametrize("which", ["large", "hostile"])
def test_page_loads_nothing(which: str, request: pytest.FixtureRequest) -> None:
    parsed = _Tags(page_text(request.getfixturevalue(which)))
    for tag, attributes in parsed.tags:
        assert not _LOADING & set(attributes), tag
        href = attributes.get("href")
        assert href is None or href.startswith(("#", "data:")), href
    assert not any("url(" in text or "@import" in text for tag, text in parsed.texts if tag == "style")


def test_policy_allows_the_pages_own_script_and_style_only(large: Path) -> None:
    parsed = _Tags(page_text(large))
    policy = next(
        str(attributes["content"])
        for _, attributes in parsed.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert rules["default-src"] == ["'none'"]
    for tag in ("script", "style"):
        text = [text for name, text in parsed.texts if name == tag][-1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == [f"'sha256-{digest}'"]


def test_names_and_reasons_never_become_markup(hostile: Path) -> None:
    text = page_text(hostile)
    assert HOSTILE not in text
    assert "<img" not in text
    parsed = _Tags(text)
    assert [tag for tag, _ in parsed.tags].count("script") == 2
    assert any(HOSTILE in cell["id"] for cell in data_of(text)["cells"])


def test_messages_of_commits_never_become_markup(hostile: Path) -> None:
    page = data_of(page_text(hostile))
    page["builds"][0]["subject"] = HOSTILE
    assert HOSTILE not in render_dashboard(page)


def test_page_tells_no_folder_of_the_machine(tmp_path: Path) -> None:
    """Sweeps lie in folders, targets too: a page is passed on."""
    for name in ("one", "two"):
        write_sweep(tmp_path / name, f"path:{tmp_path}/checkout-{name}", target_version=None)
    write_report(make_report(load_results([tmp_path]), Config()), tmp_path / "out")
    text = page_text(tmp_path / "out")
    assert str(tmp_path) not in text
    page = data_of(text)
    assert str(tmp_path) not in str(page)
    assert [one["name"] for one in page["builds"]] == ["path:checkout-one", "path:checkout-two"]


def test_one_build_has_a_page_too(tmp_path: Path) -> None:
    write_sweep(tmp_path / "in")
    write_report(make_report(load_results([tmp_path / "in"]), Config()), tmp_path / "out")
    page = data_of(page_text(tmp_path / "out"))
    assert page["base"] is None
    assert page["verdict"] is None


def test_page_says_which_kinds_were_judged(tmp_path: Path) -> None:
    """The dashboard has the same list of judged kinds as report.json."""
    write_sweep(tmp_path / "in" / "a")
    write_sweep(tmp_path / "in" / "b", "release:0.5.23")
    write_report(make_report(load_results([tmp_path / "in"]), Config()), tmp_path / "out")
    kinds = data_of(page_text(tmp_path / "out"))["kinds"]
    assert kinds == report_document(tmp_path / "out")["comparison"]["kinds"]
    assert [one["text"] for one in kinds if one["is_judged"]] == ["decision", "modelled time"]


def test_equal_results_give_an_equal_page(tmp_path: Path) -> None:
    write_sweep(tmp_path / "in")
    for out in ("a", "b"):
        write_report(make_report(load_results([tmp_path / "in"]), Config()), tmp_path / out)
    assert page_text(tmp_path / "a") == page_text(tmp_path / "b")
    assert unpack(pack({"a": "–"})) == {"a": "–"}


def test_every_release_is_judged_against_the_one_before(tmp_path: Path) -> None:
    for build, evicted in enumerate((5000, 5000, 6000)):
        write_sweep(
            tmp_path / "in" / str(build),
            f"release:0.5.{build}",
            lambda one, evicted=evicted: one | {"metrics": METRICS | {"retractions": evicted}},
        )
    write_report(make_report(load_results([tmp_path / "in"]), Config()), tmp_path / "out")
    page = data_of(page_text(tmp_path / "out"))
    metric = [one["name"] for one in page["metrics"]].index("retractions")
    count = len(cells())
    assert [row[metric] for row in page["letters"]] == ["-" * count, "s" * count, "w" * count]
    assert [row[metric] for row in page["trend"]["worse"]] == [0, 0, count]
    assert [row[metric] for row in page["trend"]["index"]] == [1, 1, 1.2]
    assert [row[metric] for row in page["trend"]["changes"]] == ["", "", "+20 %"]


def test_host_time_has_a_confidence_band_where_rounds_were_paired(tmp_path: Path) -> None:
    grid = cells()
    for name, target in (("a", "release:0.5.22"), ("b", "release:0.5.23")):
        write_sweep(tmp_path / "in" / name, target, grid=grid)
    write_pairs(tmp_path / "in" / "pairs", grid, pairs=12, slowdown=lambda cell: 1.2)
    write_report(make_report(load_results([tmp_path / "in"]), Config()), tmp_path / "out")
    page = data_of(page_text(tmp_path / "out"))
    metric = [one["name"] for one in page["metrics"]].index("scheduler_cpu_ms_per_step")
    low, middle, high = (page["trend"][name][1][metric] for name in ("low", "index", "high"))
    assert 1.1 < low < middle < high < 1.3


def test_timeline_keeps_peaks_troughs_and_sums() -> None:
    free = np.full(1000, 500)
    free[777] = 3
    steps = [
        StepRecord(
            step=number,
            mode="decode",
            rids=("a",) * (9 if number == 501 else 1),
            free_tokens=int(free[number]),
            retracted_rids=("a",) if number % 100 == 0 else (),
        )
        for number in range(1000)
    ]
    line = timeline(steps)
    assert len(line["first"]) <= MAX_POINTS
    assert line["steps"] == 1000
    assert max(line["batch"]) == 9
    assert min(line["free"]) == 3
    assert sum(line["retractions"]) == 10


def test_empty_timeline_is_empty() -> None:
    assert timeline([])["first"] == []
