"""The documentation is built as a site without broken links, missing pages and foreign hosts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.build import COMMAND_TIMEOUT_S, ROOT

pytestmark = pytest.mark.xdist_group("site")

LOADED = re.compile(
    r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?([^\"'\s>]+)", re.IGNORECASE
)


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    return subprocess.run(
        [*command, "-f", str(config), "-d", str(site)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=COMMAND_TIMEOUT_S,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. mkdocs fails for a link or an anchor without a target."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_of_the_docs_is_in_the_site_and_in_its_navigation(site: Path) -> None:
    pages = sorted(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md"))
    assert [page for page in pages if not (site / page.with_suffix(".html")).is_file()] == []
    start = (site / "index.html").read_text()
    assert [page for page in pages if f'href="{page.with_suffix(".html")}"' not in start] == []


def test_the_site_loads_nothing_from_another_host(site: Path) -> None:
    loaded = {
        target for page in site.rglob("*.html") for target in LOADED.findall(page.read_text())
    }
    assert any(target.endswith(".css") for target in loaded)
    assert [target for target in loaded if re.match(r"(\w+:)?//", target)] == []
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert re.findall(r"url\([\"']?(?:https?:)?//[^)]*\)|@import[^;]*//[^;]*;", styles) == []


@pytest.mark.parametrize(("text", "accepted"), [
    ("[x](b.md#b)", True), ("[x](absent.md)", False), ("[x](#absent)", False),
    ("[x](b.md#absent)", False), ("[x](dir/)", False),
])
def test_a_link_without_a_target_fails(tmp_path: Path, text: str, accepted: bool) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text(f"# A\n\n{text}\n")
    (docs / "b.md").write_text("# B\n")
    config = tmp_path / "mkdocs.yml"
    config.write_text(
        f"INHERIT: {ROOT / 'mkdocs.yml'}\nhooks: []\nplugins: []\ntheme:\n  name: null\n"
        f"  custom_dir: {docs}\nnav: [a.md, b.md]\n"
    )
    (docs / "main.html").write_text("{{ page.content }}")
    done = build(config, tmp_path / "site")
    assert (done.returncode == 0) == accepted, done.stdout + done.stderr
    assert accepted or "a.md" in done.stderr
