"""Lists the stores that the tests have exercised, at the end of the tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from installed import examples


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    outcomes: dict[str, set[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            parts = Path(report.nodeid.partition("::")[0]).parts
            if len(parts) >= 2:
                outcomes.setdefault(parts[-2], set()).add(outcome)
    ran = {one.folder.name: outcomes.get(one.folder.name, set()) for one in examples()}
    exercised = [name for name, seen in ran.items() if seen - {"skipped"}]
    skipped = [name for name, seen in ran.items() if seen == {"skipped"}]
    if exercised or skipped:
        terminalreporter.section("stores of the examples")
        terminalreporter.line(f"exercised: {', '.join(exercised) or 'none'}")
        terminalreporter.line(f"not installed: {', '.join(skipped) or 'none'}")
