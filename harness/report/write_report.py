"""Writes `report.html` into the folder of a run."""

from __future__ import annotations

from pathlib import Path

from splitbrain.harness.report.page_file import write_page
from splitbrain.harness.store.run_folder import REPORT


def write_report(run_folder: Path) -> Path:
    """Write `report.html` from the other files in `run_folder`, and return its path.

    If a file is missing or damaged, the report names it. Raises FileNotFoundError if the folder
    does not exist, and OSError if the report cannot be written.
    """
    # This import is here because importing plotly takes a second.
    from splitbrain.harness.report.report_page import render_run
    from splitbrain.harness.report.run_data import read_run

    return write_page(run_folder / REPORT, render_run(read_run(run_folder)))
