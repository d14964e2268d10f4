"""What mkdocs calls while it builds the site of docs/ (`make docs`).

The pages are written for people who read them in the repository, too: their links are relative to the file
they stand in. Here README.md, CONTRIBUTING.md and CHANGELOG.md become pages, a page of all commands is made
from the command line itself, and files outside docs/ to which a page links are copied into the site. After
the build every link of every page is followed (`dead_links.py`).
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File, InclusionLevel

sys.path.insert(0, str(Path(__file__).parent))

from commands_page import commands_page
from dead_links import dead_links
from page_links import PAGES, Relinker, github_slug

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

_ROOT = Path(__file__).resolve().parents[2]
_RELINKER = Relinker(_ROOT)
# Warnings of this logger fail a strict build.
_LOG = logging.getLogger("mkdocs.hooks.site")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let headings have the anchors that they have on GitHub."""
    toc: dict[str, Any] = config.mdx_configs.setdefault("toc", {})
    toc["slugify"] = github_slug
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/, and the files outside of it to which pages link."""
    for source, uri in PAGES.items():
        files.append(File.generated(config, uri, content=(_ROOT / source).read_text()))
    files.append(File.generated(config, "commands.md", content=commands_page()))
    for uri, path in sorted(_RELINKER.copied_files().items()):
        files.append(File.generated(config, uri, abs_src_path=str(path), inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that hold in the repository into links that hold in the site."""
    del config, files
    return _RELINKER.relinked(markdown, uri=page.file.src_uri)


def on_post_build(*, config: MkDocsConfig) -> None:
    """Warn of every link that leads nowhere, and of everything that a browser would load from elsewhere."""
    for dead in dead_links(Path(config.site_dir)):
        _LOG.warning(dead)
