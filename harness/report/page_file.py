"""Write a page to its file."""

from __future__ import annotations

import os
from pathlib import Path

INDEX_NAME = "index.html"
"""The table of runs, in the folder that contains the runs."""


def write_page(path: Path, text: str) -> Path:
    """Replace the file `path` atomically, so that a reader never sees half a page."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8", errors="replace")
    temporary.replace(path)
    return path
