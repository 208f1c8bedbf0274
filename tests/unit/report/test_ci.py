"""A CI system shows every failure and the command that repeats it, with all texts escaped."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from splitbrain.harness.cli.main import run_main
from splitbrain.harness.report.ci.annotations import code_quality, workflow_commands
from splitbrain.harness.report.ci.findings import Finding, Findings, read_findings
from splitbrain.harness.report.ci.junit import junit
from splitbrain.harness.report.ci.markdown import SUMMARY_BYTES_MAX, summary
from splitbrain.harness.report.ci.results_page import artifact_page
from splitbrain.harness.store.database.database import add_runs, open_database
from splitbrain.harness.store.database.query import Filter
from splitbrain.harness.store.failure_groups import Acceptance, Group, Groups
from splitbrain.harness.store.failure_signature import Signature
from splitbrain.harness.store.run_row import RunRow

ROOT = Path(__file__).parents[3]
HOSTILE = "n1 lost '</code>|`*_<b>x</b>' ::error::\n```\n\x00%"
VALID = RunRow(key="a", started=1, test="t", seed=1, valid=True, load_s=2.0, rate=5.0, ok=9)
INVALID = RunRow(
    key="b", started=2, test="t", seed=2, valid=False, checker="mvcc", kind="lost write",
    because=HOSTILE, group="g", reproduce="splitbrain sim --seed 2",
)
UNKNOWN = RunRow(key="c", started=3, test="u", seed=3, valid=None, because="no read succeeded")


def a_store(store: Path, *runs: RunRow, accepted: str = "") -> Path:
    store.mkdir(exist_ok=True)
    groups = Groups(store)
    group = Group(
        name="g", signatures=(Signature("mvcc", "lost write", ""),), because=HOSTILE, first=2,
        reproduce="splitbrain sim --seed 2",
        accepted=Acceptance(accepted, "2999-01-01", "") if accepted else None,
    )
    groups.save(group)
    groups.schedule_file(group).write_text("seed 2\n````\nlasts 1 s\n")
    with open_database(store) as connection:
        add_runs(connection, runs)
    return store


def findings(store: Path, *runs: RunRow, accepted: str = "") -> Findings:
    return read_findings(a_store(store, *runs, accepted=accepted), Filter())


@pytest.mark.parametrize(("runs", "accepted", "valid"), [
    ((), "", None),
    ((VALID,), "", True),
    ((VALID, UNKNOWN), "", None),
    ((VALID, UNKNOWN, INVALID), "", False),
    ((VALID, INVALID), "issue 12", True),
])
def test_the_verdict_is_that_of_all_runs_without_accepted_groups(
    tmp_path: Path, runs: tuple[RunRow, ...], accepted: str, valid: bool | None
) -> None:
    assert findings(tmp_path / "s", *runs, accepted=accepted).valid is valid


def test_the_summary_shows_each_failure_with_its_schedule_and_escapes_values(
    tmp_path: Path,
) -> None:
    text = summary(findings(tmp_path / "s", VALID, INVALID, UNKNOWN))
    assert text.startswith("## ❌ Splitbrain: invalid\n")
    assert "### g, 1 run" in text
    assert "\\<b\\>x\\</b\\>" in text
    assert "splitbrain sim --schedule" in text
    assert "`````text\nseed 2\n````\nlasts 1 s\n`````" in text
    assert "- 1 times: no read succeeded" in text
    assert "| t | 2 | 1 | 1 | 0 | 5 |" in text


def test_a_summary_is_not_longer_than_a_step_may_write() -> None:
    many = Findings({"invalid": 9}, (INVALID,), tuple(
        Finding(name=f"g{one}", runs=1, because="x" * 20_000, reproduce="") for one in range(80)
    ))
    assert SUMMARY_BYTES_MAX - 30_000 < len(summary(many).encode()) < SUMMARY_BYTES_MAX + 100


def test_a_run_is_a_test_case_with_its_facts_as_properties(tmp_path: Path) -> None:
    root = ElementTree.fromstring(junit(findings(tmp_path / "s", VALID, INVALID, UNKNOWN)))
    suites = {one.get("name"): one for one in root}
    assert {name: (one.get("tests"), one.get("failures")) for name, one in suites.items()} == {
        "t": ("2", "1"), "u": ("1", "1"),
    }
    case = suites["t"].find("testcase[failure]")
    assert case is not None
    facts = {one.get("name"): one.get("value") for one in case.iter("property")}
    assert facts["splitbrain_group"] == "g"
    assert facts["splitbrain_reproduce"] == "splitbrain sim --seed 2"
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("type") == "mvcc: lost write"
    assert "<b>x</b>" in (failure.text or "")


def test_a_failure_of_an_accepted_group_is_skipped(tmp_path: Path) -> None:
    root = ElementTree.fromstring(junit(findings(tmp_path / "s", INVALID, accepted="issue 12")))
    skipped = root.find("testsuite/testcase/skipped")
    assert skipped is not None
    assert skipped.get("message") == "accepted: issue 12"
    assert root.find("testsuite/testcase/failure") is None


def test_an_annotation_is_one_line_that_no_value_can_end(tmp_path: Path) -> None:
    found = findings(tmp_path / "s", VALID, INVALID, UNKNOWN)
    error, warning = list(workflow_commands(found))
    assert error.startswith("::error title=Splitbrain%3A g::n1 lost")
    assert "\n" not in error
    assert "%25" in error
    assert warning == "::warning title=Splitbrain::1 run is unknown"


def test_the_code_quality_report_has_the_fields_that_gitlab_requires(tmp_path: Path) -> None:
    found = findings(tmp_path / "s", INVALID)
    (row,) = json.loads(code_quality(found, Path("store/results.html")))
    assert row["severity"] == "critical"
    assert row["location"] == {"path": "store/results.html", "lines": {"begin": 1}}
    assert {"description", "check_name", "fingerprint"} <= row.keys()


def test_the_page_shows_the_find_and_not_only_its_path(tmp_path: Path) -> None:
    store = tmp_path / "s"
    page = artifact_page(findings(store, VALID, INVALID), store)
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "lasts 1 s" in page
    assert "<script" not in page


def test_the_command_writes_the_files_and_returns_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = a_store(tmp_path / "s", VALID, INVALID)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step"))
    assert run_main(["artifacts", "--store", str(store)]) == 1
    assert "::error title=Splitbrain" in capsys.readouterr().out
    assert (tmp_path / "step").read_text() == (store / "summary.md").read_text()
    assert {"results.html", "splitbrain.junit.xml", "code-quality.json"} <= {
        one.name for one in store.iterdir()
    }
    assert run_main(["artifacts", "--store", str(store), "--since", "1h", "--no-annotate"]) == 2


def commands_of(workflow: str) -> list[str]:
    """The commands of a workflow file that call splitbrain, without the installation."""
    lines = (ROOT / "docs" / "ci" / workflow).read_text().splitlines()
    found = [re.match(r"\s+(?:- )?(splitbrain .*)", line) for line in lines]
    return [one[1] for one in found if one is not None]


@pytest.mark.parametrize("workflow", ["github-actions.yml", "gitlab-ci.yml"])
def test_the_steps_of_the_workflow_files_work(tmp_path: Path, workflow: str) -> None:
    commands = commands_of(workflow)
    assert [one.split()[1] for one in commands] == ["campaign", "artifacts"]
    program = tmp_path / "splitbrain"
    program.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c '
        '"from splitbrain.harness.cli.main import main; main()" "$@"\n'
    )
    program.chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "RUNS": "2",
        "SYSTEM": "simulated", "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        ["sh", "-e", "-c", "\n".join(commands)], cwd=tmp_path, env=environment, check=False,
        capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 runs: 2 valid" in done.stdout
    root = ElementTree.parse(tmp_path / "store" / "splitbrain.junit.xml").getroot()
    assert len(root.findall("testsuite/testcase")) == 2
    kept = sum(one.stat().st_size for one in (tmp_path / "store").rglob("*") if one.is_file())
    assert kept < 2 * 2**20
    assert msgspec.json.decode((tmp_path / "store" / "code-quality.json").read_bytes()) == []
