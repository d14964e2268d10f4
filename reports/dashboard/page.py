"""The dashboard as one HTML file that holds everything it shows and cannot reach a network.

The page's data travel gzip-compressed in base64, which cannot hold markup; the script puts texts into the
page as text nodes only. A content security policy allows the page's own script and style, by their
digests, and nothing else.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any, Final

DASHBOARD_NAME: Final = "index.html"

_STATIC = Path(__file__).with_name("static")
# In this order: later ones use what earlier ones define.
_SCRIPTS = (
    *("dom.js", "table.js", "data.js", "builds.js", "charts.js", "legends.js", "effects.js"),
    *(
        "heatmap.js",
        "grid_keys.js",
        "releases.js",
        "overview.js",
        "metric.js",
        "cells.js",
        "cell.js",
        "main.js",
    ),
)
_STYLES = ("uplot/uPlot.min.css", "theme.css", "style.css", "heatmap.css", "narrow.css")
_MAX_HEADLINES = 5


def render_dashboard(page: Mapping[str, Any]) -> str:
    """Return the page for what `reports.dashboard.page_data.dashboard_data` returned."""
    own = "\n".join(map(_read, _SCRIPTS))
    script = f'{_read("uplot/uPlot.iife.min.js")}\n(() => {{\n"use strict";\n{own}\n}})();'
    style = "\n".join(map(_read, _STYLES))
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return Template(_read("template.html")).substitute(
        policy=policy,
        title=html.escape(_title(page)),
        without_script=_without_script(page),
        style=style,
        script=script,
        data=pack(page),
        licence=html.escape(_read("uplot/LICENSE").replace("--", "—")),
    )


def pack(page: Mapping[str, Any]) -> str:
    """Return the data as the page carries them; equal data give equal text."""
    text = json.dumps(page, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), compresslevel=9, mtime=0)).decode()


def _title(page: Mapping[str, Any]) -> str:
    builds = page["builds"]
    subject = builds[page["head"]]["label"]
    if page["base"] is not None:
        subject = f"{page['verdict']}: {builds[page['base']]['label']} → {subject}"
    return f"{subject} · SGLang scheduler under pressure"


def _without_script(page: Mapping[str, Any]) -> str:
    """What a browser without scripts shows: the verdict and its headlines."""
    lines = [_title(page), *(one["text"] for one in page["headlines"][:_MAX_HEADLINES])]
    return "".join(f"<p>{html.escape(line)}</p>" for line in lines)


def _read(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
