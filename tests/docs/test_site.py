"""The site is built without a warning, and nothing in it comes from another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

# What a browser fetches by itself: scripts, styles, pictures, frames, fonts. A link that is clicked may lead elsewhere.
_FETCHED = re.compile(r"<(?:script|img|iframe|source|audio|video|embed)\b[^>]*?\bsrc=[\"']?((?:https?:)?//[^\"'\s>]+)")
_LINKED = re.compile(r"<link\b[^>]*?\bhref=[\"']?((?:https?:)?//[^\"'\s>]+)")
_IN_STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)")


def build(configuration: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(configuration), "-d", str(folder)]
    environment = {"PATH": os.environ["PATH"], "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT / "mkdocs.yml", folder)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_a_page_that_is_not_there_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Here\n\n[there](there.md)\n")
    configuration = tmp_path / "mkdocs.yml"
    configuration.write_text(f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: docs\nhooks: []\nnav: [index.md, gone.md]\n")
    built = build(configuration, tmp_path / "site")
    assert built.returncode != 0
    assert "there.md" in built.stderr
    assert "gone.md" in built.stderr


def test_every_page_is_built_and_can_be_searched(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix("")
        built = site / name / "index.html" if name.name != "index" else site / name.with_suffix(".html")
        assert built.is_file()
    assert "contact type" in (site / "search" / "search_index.json").read_text(encoding="utf-8")


def test_nothing_is_fetched_from_another_host(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert _FETCHED.findall(text) + _LINKED.findall(text) == [], path
    for path in site.rglob("*.css"):
        assert _IN_STYLE.findall(path.read_text(encoding="utf-8")) == [], path


def test_links_out_of_the_documentation_are_told_as_paths(site: Path) -> None:
    operations = (site / "operations" / "index.html").read_text(encoding="utf-8")
    assert "<code>deploy/prometheus/alerts.yaml</code>" in operations
    assert re.search(r'href="[^"]*/deploy/', operations) is None
    assert re.search(r'href="[^"]*reference/settings/"', operations)


def test_blocks_and_lists_are_blocks_and_lists_on_the_site_too(site: Path) -> None:
    """GitHub is laxer: a list may follow its sentence at once there, and a fence in an item may stand in by three."""
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "```" not in re.sub(r"<code.*?</code>", "", text, flags=re.DOTALL), f"{path}: set fences in by 0 or 4"
        run_in = re.search(r"<p>(?:(?!</p>).)*?\n(?:- |\* |1\. )(.{0,60})", text, re.DOTALL)
        assert run_in is None, f"{path}: an empty line is missing before the list that begins with {run_in[1]}"
    assert "<!-- run -->" in (site / "security" / "index.html").read_text(encoding="utf-8")
