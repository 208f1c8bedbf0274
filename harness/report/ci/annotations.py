"""Writes failures as annotations: GitHub's workflow commands, and GitLab's code quality report."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from splitbrain.harness.counted import counted
from splitbrain.harness.report.ci.findings import Finding, Findings

ANNOTATIONS_MAX = 10
"""GitHub shows at most 10 errors of a step."""


def workflow_commands(findings: Findings) -> Iterator[str]:
    """Yield GitHub's workflow command for each failure.

    The command is an error, or a notice if the user has accepted the failure's group. If runs have
    an unknown verdict, a warning is added.
    """
    found = sorted(findings.groups, key=lambda one: bool(one.known))
    for one in found[:ANNOTATIONS_MAX]:
        command = "notice" if one.known else "error"
        title = _property(f"Splitbrain: {one.name}")
        text = f"{one.because}\n{_runs(one)}\nreproduce: {one.reproduce}"
        yield f"::{command} title={title}::{_data(text)}"
    unknown = sum(run.valid is None for run in findings.runs)
    if unknown:
        verb = "is" if unknown == 1 else "are"
        yield f"::warning title=Splitbrain::{counted(unknown, 'run')} {verb} unknown"


def code_quality(findings: Findings, file: Path) -> bytes:
    """Return the failures as JSON, in the format of GitLab's code quality report.

    GitLab requires a source file for each failure, so each failure names `file`.
    """
    rows: list[dict[str, Any]] = [
        {
            "description": f"{one.name}: {one.because} ({_runs(one)})",
            "check_name": one.name,
            "fingerprint": hashlib.sha256(one.name.encode()).hexdigest(),
            "severity": "info" if one.known else "critical",
            "location": {"path": file.as_posix(), "lines": {"begin": 1}},
        }
        for one in findings.groups
    ]
    return msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n"


def _runs(one: Finding) -> str:
    return f"{one.runs:,} {'run' if one.runs == 1 else 'runs'}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
