"""Runs a file of interaction tests, and compares the outputs with the expected ones.

Log lines are left out on both sides, because the logs of this project differ.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from tests.conformance.raft.datadriven import read_commands
from tests.conformance.raft.environment import Environment

_LOG_LINE = re.compile(r"\s*(DEBUG|INFO|WARN|ERROR|FATAL) ")


def without_log(output: str) -> list[str]:
    """The lines of an output without log lines. An empty output is "ok"."""
    lines = [line.rstrip() for line in output.split("\n") if not _LOG_LINE.match(line)]
    return [line for line in lines if line] or ["ok"]


def differences(path: Path) -> str:
    """Return a diff for each command of the file whose output differs, or "".

    Raises Malformed, OSError.
    """
    environment = Environment()
    found: list[str] = []
    for command in read_commands(path):
        expected = without_log(command.expected)
        actual = without_log(environment.run(command))
        if actual != expected:
            place = f"{path.name}:{command.line}"
            found += difflib.unified_diff(
                expected, actual, f"{place} {command.name}: expected", "actual", lineterm=""
            )
    return "\n".join(found)
