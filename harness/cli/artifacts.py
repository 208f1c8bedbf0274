"""`splitbrain artifacts`: writes the results of runs in the formats of CI systems."""

from __future__ import annotations

import os
from pathlib import Path

import click

from splitbrain.harness.cli.runs import store_folder, store_option
from splitbrain.harness.cli.time_option import moment
from splitbrain.harness.counted import counted

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
ANNOTATE_VARIABLE = "GITHUB_ACTIONS"
JUNIT, SUMMARY, CODE_QUALITY = "splitbrain.junit.xml", "summary.md", "code-quality.json"


@click.command("artifacts", short_help="Write the results of runs for a CI system.")
@store_option
@click.option("--campaign", default="", metavar="NAME", help="Runs of this campaign.")
@click.option("--since", callback=moment, default=None, metavar="TIME",
              help="Runs that started within TIME, such as 2h, or since a date.")
@click.option("--annotate/--no-annotate", default=None,
              help=f"Print the failures as GitHub's workflow commands.  [default: if the variable"
                   f" {ANNOTATE_VARIABLE} is set]")
def command(
    store: Path | None, campaign: str, since: int | None, annotate: bool | None
) -> int:
    """Write the results of all runs in the store as files for a CI system.

    The CI job should keep the store as an artifact. The command writes these files into it:

    \b
      results.html          a page that shows each failure and its smallest schedule
      splitbrain.junit.xml  each run as a test case, with its facts as properties
      summary.md            a summary in Markdown
      code-quality.json     the failures as a code quality report of GitLab

    If the variable GITHUB_STEP_SUMMARY names a file, the summary is also appended to that file.

    \b
    Example:
      splitbrain campaign --runs 200 || true
      splitbrain artifacts

    \b
    Exit codes: 0 all runs are valid, 1 a run is invalid and its group of failures is not
    accepted, 2 a run is unknown or there are no runs, 254 bad arguments, 255 the harness failed.
    """
    from splitbrain.harness.exit_codes import exit_code_of
    from splitbrain.harness.report.ci.annotations import code_quality, workflow_commands
    from splitbrain.harness.report.ci.findings import read_findings
    from splitbrain.harness.report.ci.junit import junit
    from splitbrain.harness.report.ci.markdown import summary
    from splitbrain.harness.report.ci.results_page import artifact_page
    from splitbrain.harness.schedule.command_line import shown
    from splitbrain.harness.store.atomic_file import write_whole
    from splitbrain.harness.store.database.query import Filter

    folder = store_folder(store)
    findings = read_findings(folder, Filter(campaign=campaign, since=since))
    text = summary(findings)
    page = folder / "results.html"
    for file, data in (
        (page, artifact_page(findings, folder).encode()),
        (folder / JUNIT, junit(findings)),
        (folder / SUMMARY, text.encode()),
        (folder / CODE_QUALITY, code_quality(findings, Path(shown(page)))),
    ):
        write_whole(file, data)
        click.echo(shown(file))
    step_summary = os.environ.get(SUMMARY_VARIABLE)
    if step_summary:
        with Path(step_summary).open("a", encoding="utf-8") as file_of_step:
            file_of_step.write(text)
    if annotate if annotate is not None else bool(os.environ.get(ANNOTATE_VARIABLE)):
        click.echo("".join(f"{line}\n" for line in workflow_commands(findings)), nl=False)
    verdicts = ", ".join(f"{count:,} {word}" for word, count in findings.counts.items() if count)
    click.echo(counted(findings.total, "run") + (f": {verdicts}" if verdicts else ""))
    return exit_code_of(findings.valid)
