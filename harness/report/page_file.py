"""Writes a page to its file."""

from __future__ import annotations

from pathlib import Path

from splitbrain.harness.store.atomic_file import write_whole

INDEX_NAME = "index.html"
"""The file name of the table of runs, in the folder that contains the runs."""


def write_page(path: Path, text: str) -> Path:
    """Replace the file `path` atomically, so that a reader never sees half a page."""
    write_whole(path, text.encode("utf-8", "replace"))
    return path
