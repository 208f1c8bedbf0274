"""Renders the page results.html of a CI artifact: each failure, and links to its files."""

from __future__ import annotations

from pathlib import Path

from splitbrain.harness.report.ci.findings import Findings
from splitbrain.harness.report.html import environment
from splitbrain.harness.store.run_folder import REPORT


def artifact_page(findings: Findings, store: Path) -> str:
    """Return an HTML page without scripts, which lists the failures and runs.

    The page must be written into the folder `store`, because its links are relative to that folder.
    """
    return environment().get_template("artifacts.html.j2").render(
        title=f"{store.absolute().name}: results", findings=findings, report_name=REPORT,
        reports={run.folder for run in findings.runs
                 if run.folder and (store / run.folder / REPORT).is_file()},
    )
