"""The index of a CI artifact: a page that shows each failure, and where its files are."""

from __future__ import annotations

from pathlib import Path

from splitbrain.harness.report.ci.findings import Findings
from splitbrain.harness.report.html import environment
from splitbrain.harness.store.run_folder import REPORT


def artifact_page(findings: Findings, store: Path) -> str:
    """An HTML page without scripts. Links are relative to `store`, in which it is written."""
    return environment().get_template("artifacts.html.j2").render(
        title=f"{store.absolute().name}: results", findings=findings, report_name=REPORT,
        reports={run.folder for run in findings.runs
                 if run.folder and (store / run.folder / REPORT).is_file()},
    )
