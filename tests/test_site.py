"""The site: built once and strictly, so that every link has its target; whole, in order, and without the network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from mkdocs.config import load_config
from test_docs import ROOT, anchors

PAGES = sorted(path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md"))
# What a page loads by itself, other than what its reader clicks at.
LOADED = {"audio", "embed", "iframe", "image", "img", "input", "link", "object", "script", "source", "track", "use",
          "video"}

pytestmark = pytest.mark.long


@pytest.fixture(scope="session")
def site(once) -> Path:
    def build(folder):
        done = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
                              cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
        assert done.returncode == 0, done.stdout + done.stderr
    return once("site", build)


class Page(HTMLParser):
    """What a built page names: (element, attribute, address) of each, and the anchors of its headings."""

    def __init__(self, text: str):
        super().__init__()
        self.addresses: list[tuple[str, str, str]] = []
        self.headings: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.addresses += [(tag, name, value) for name, value in attrs
                           if name in ("src", "href", "xlink:href", "srcset", "poster", "data") and value]
        self.headings += [value for name, value in attrs if name == "id" and re.fullmatch("h[1-6]", tag)]


def built(site: Path) -> Iterator[tuple[Path, Page]]:
    for path in sorted(site.rglob("*.html")):
        yield path.relative_to(site), Page(path.read_text(encoding="utf-8"))


def named_in(nav: list | dict | str) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from named_in(part)


def test_every_page_is_in_the_navigation_once():
    assert sorted(named_in(load_config(str(ROOT / "mkdocs.yml"))["nav"])) == sorted(map(str, PAGES))


def test_nothing_is_fetched_from_elsewhere(site):
    elsewhere = re.compile(r"(?:https?:)?//", re.I)
    for path, page in built(site):
        assert not [found for found in page.addresses if found[0] in LOADED and elsewhere.match(found[2])], path
        # The theme would fetch what draws these.
        assert 'class="mermaid"' not in (site / path).read_text(encoding="utf-8"), path
    styles = list(site.rglob("*.css"))
    assert styles
    for path in styles:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""(?:url\(|@import)\s*["']?(?:https?:)?//""", text), path


def test_links_lead_to_files_without_a_server(site):
    for path, page in built(site):
        if path.name == "404.html":  # only a server shows it
            continue
        for _, _, address in page.addresses:
            target = unquote(address.partition("#")[0].partition("?")[0])
            if target and not re.match(r"[a-z]+:", target):
                assert (site / path.parent / target).is_file(), f"{path}: {address}"


def test_anchors_are_those_of_github(site):
    for path, page in built(site):
        source = ROOT / "docs" / path.with_suffix(".md")
        if source.is_file():
            assert len(page.headings) == len(set(page.headings)), path
            assert set(page.headings) == anchors(source.read_text(encoding="utf-8")), path


def test_pages_say_on_the_site_what_they_say_on_github(site):
    """What is a list to one reader of Markdown is text to another: below a line of text, or set in by two blanks."""
    github = MarkdownIt("commonmark").enable("table")
    for source in PAGES:
        html = (site / source.with_suffix(".html")).read_text(encoding="utf-8")
        article = html.partition("<article")[2].partition("</article>")[0]
        article = re.sub(r'<a class="headerlink".*?</a>', "", article)
        expected = github.render((ROOT / "docs" / source).read_text(encoding="utf-8"))
        for tag in ("p", "ul", "ol", "li", "table", "tr", "td", "pre", "code", "strong", "em", "a", "img"):
            assert len(re.findall(rf"<{tag}[ >]", article)) == len(re.findall(rf"<{tag}[ >]", expected)), (source, tag)


def test_the_search_knows_every_page(site):
    index = json.loads((site / "search" / "search_index.json").read_bytes())
    assert {str(path.with_suffix(".html")) for path in PAGES} <= {entry["location"] for entry in index["docs"]}
    # A page that was opened as a file may not read the index, but may run it.
    assert (site / "search" / "search_index.js").read_text(encoding="utf-8").startswith("var __index = {")


def test_the_demos_report_is_in_its_page(site):
    report = site / "demo-report.html"
    assert ("iframe", "src", report.name) in Page((site / "report.html").read_text(encoding="utf-8")).addresses
    text = report.read_text(encoding="utf-8")
    assert "<svg" in text and "meld_train_dia0_utt0" in text
