"""What a person sees of a run: `report.html`, the index of a store, and `splitbrain serve`."""

from __future__ import annotations

import os
from pathlib import Path

NAME = "report.html"


def write(run_folder: Path) -> Path:
    """Make the run's report, `report.html` in its folder, from whatever else is there.

    Raises FileNotFoundError where there is no such folder, OSError where it cannot
    be written; a file that is missing or torn is told in the report.
    """
    from splitbrain.harness.report.page import render
    from splitbrain.harness.report.run_data import read_run

    return write_whole(run_folder / NAME, render(read_run(run_folder)))


def write_whole(path: Path, text: str) -> Path:
    """Write aside, then rename: a reader sees the old page or the new one, never half."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8", errors="replace")
    aside.replace(path)
    return path
