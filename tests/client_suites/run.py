"""Runs a suite against three members, in namespaces of their own, and reads its results."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.client_suites.catalogue import Suite
from tests.client_suites.install import python, sources
from tests.client_suites.members import NAMESPACES, environment, running
from tests.conformance.server_pair import etcd_binary

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = Path(__file__).with_name("profile.py")
EXAMPLES, EXAMPLES_OF_SAMPLE = 20, 2
TIMEOUT_S, TIMEOUT_OF_SAMPLE_S = 1800, 240
"""Some tests of the suites wait forever if one of their requests fails."""


@dataclass(frozen=True, slots=True)
class Result:
    """The outcomes of a suite's tests: the names of those that passed, and what failed by name."""

    passed: tuple[str, ...]
    failed: dict[str, str]
    skipped: tuple[str, ...]
    output: str


def run_in_namespaces(suite: Suite, *, sample: bool) -> Result:
    """Run `suite` in a process with namespaces of its own."""
    with tempfile.TemporaryDirectory() as name:
        command = [
            *NAMESPACES, sys.executable, "-m", "tests.client_suites.run", suite.name, name,
            "sample" if sample else "all",
        ]  # fmt: skip
        output = _output_of(command, TIMEOUT_OF_SAMPLE_S if sample else TIMEOUT_S)
        report = Path(name) / "report.xml"
        if not report.exists():
            raise RuntimeError(f"{suite.name} did not run: {output}")
        return _read(report, output)


def _output_of(command: Sequence[str], timeout_s: int) -> str:
    """Run `command`, and return what it printed. After `timeout_s`, it is killed."""
    with tempfile.TemporaryFile() as printed:
        try:
            subprocess.run(
                command, cwd=ROOT, stdout=printed, stderr=subprocess.STDOUT, check=False,
                timeout=timeout_s,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            printed.write(f"\nnot finished after {timeout_s} s".encode())
        printed.seek(0)
        return printed.read().decode("utf-8", "replace")


def _read(report: Path, output: str) -> Result:
    passed, skipped, failed = [], [], {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        problem = case.find("failure")
        problem = case.find("error") if problem is None else problem
        if problem is not None:
            failed[name] = str(problem.get("message"))
        elif case.find("skipped") is not None:
            skipped.append(name)
        else:
            passed.append(name)
    return Result(tuple(passed), failed, tuple(skipped), output)


def run_here(suite: Suite, folder: Path, *, sample: bool) -> int:
    """Run `suite` in this process's namespaces. Writes `report.xml` into `folder`."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    program = etcd_binary()
    assert program is not None, "callers skip if etcd is not installed"
    plugins = folder / "plugins"
    plugins.mkdir()
    shutil.copy(PLUGIN, plugins / "suite_profile.py")
    with running(folder):
        command = [
            str(python(suite)), "-m", "pytest", suite.tests, "-c", "/dev/null", "--rootdir", ".",
            "-p", "no:cacheprovider", f"--junit-xml={folder / 'report.xml'}", "--tb=short", "-q",
            "--durations=5",
            *(f"--deselect={name}" for name in _deselected(suite)),
        ]  # fmt: skip
        if "hypothesis" in " ".join(suite.requirements):
            command += ["-p", "suite_profile"]
        if sample:
            command += ["-k", suite.sample]
        variables = environment(Path(program).with_name("etcdctl"))
        variables["SUITE_EXAMPLES"] = str(EXAMPLES_OF_SAMPLE if sample else EXAMPLES)
        variables["PYTHONPATH"] = str(plugins)
        return subprocess.run(command, cwd=sources(suite), env=variables, check=False).returncode


def _deselected(suite: Suite) -> list[str]:
    return list(suite.left_out)


if __name__ == "__main__":
    from tests.client_suites.catalogue import SUITES

    sys.exit(run_here(SUITES[sys.argv[1]], Path(sys.argv[2]), sample=sys.argv[3] == "sample"))
