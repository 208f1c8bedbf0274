"""Tells mkdocs which files of the repository are pages of the documentation site.

The site has the layout of the repository, so that a link has the same form in both. mkdocs itself
reads one folder, which must not contain its configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
SINGLE = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE")
PATTERNS = (
    "docs/**/*.md", "docs/**/*.png", "docs/ci/*.yml", "examples/**/*.md", "examples/**/*.py",
    "examples/**/*.toml", "docs/finds/*.py", "docs/finds/*.schedule",
)
SECTIONS = {
    "docs": "Tutorials", "docs/howto": "How-to guides", "docs/reference": "Reference",
    "docs/finds": "Examples", "examples": "Examples",
}
"""Folder → the section of the navigation for its pages that `mkdocs.yml` does not name."""


def paths() -> Iterator[str]:
    """Return the files of the site, relative to the root folder."""
    yield from SINGLE
    for pattern in PATTERNS:
        yield from sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(pattern))


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages that the navigation does not name to the section of their folder."""
    sections = {name: pages for one in config.nav or () for name, pages in one.items()}
    named = {page for pages in sections.values() if isinstance(pages, list) for page in pages}
    for path in paths():
        if path.endswith(".md") and path not in named and "/" in path:
            folder = max((one for one in SECTIONS if path.startswith(f"{one}/")), key=len)
            sections[SECTIONS[folder]].append(path)
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Replace the files of `docs_dir` by those of the repository. The theme's files stay."""
    kept = [one for one in files if one.src_dir != config.docs_dir]
    added = [File(path, str(ROOT), config.site_dir, config.use_directory_urls) for path in paths()]
    return Files([*kept, *added])
