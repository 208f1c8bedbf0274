"""docs/reference/cli.md says what each command's `--help` says.

`SPLITBRAIN_REWRITE=1 pytest tests/unit/harness/test_cli_reference.py` renews it.
"""

from __future__ import annotations

import os
from pathlib import Path

from click.testing import CliRunner

from harness.cli import COMMANDS, splitbrain

REFERENCE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "cli.md"
PREFACE_ENDS = "\n## splitbrain\n"


def sections() -> str:
    """The groups' help, and each command's."""
    runner = CliRunner(env={"COLUMNS": "90", "TERMINAL_WIDTH": "90"})
    told = []
    for words in [[], *([name] for name in COMMANDS)]:
        done = runner.invoke(
            splitbrain, [*words, "--help"], prog_name="splitbrain", terminal_width=90
        )
        assert done.exit_code == 0, done.output
        title = " ".join(["## splitbrain", *words])
        told.append(f"{title}\n\n```text\n{done.output}```\n")
    return "\n".join(told)


def test_the_reference_is_what_help_says() -> None:
    written = REFERENCE.read_text()
    preface = written[: written.index(PREFACE_ENDS) + 1]
    renewed = preface + sections()
    if os.environ.get("SPLITBRAIN_REWRITE"):
        REFERENCE.write_text(renewed)
        return
    assert written == renewed, "renew it: see this file's first lines"
