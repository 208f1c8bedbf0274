"""Writes runs as JUnit XML, which most CI systems show as test results.

Each test of the store is a suite, and each run is a case. Facts about a run are properties of its
case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from splitbrain.harness.report.ci.findings import Findings
from splitbrain.harness.store.run_row import RunRow

NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot contain."""


def junit(findings: Findings) -> bytes:
    """Return the runs of `findings` as JUnit XML.

    An invalid run is a failure. If its group is accepted, the run is skipped instead. A run that
    was not judged is an error. A run with an unknown verdict is a failure, because unknown is never
    a pass.
    """
    known = {one.name: one.known for one in findings.groups if one.known}
    root = Element("testsuites", name="splitbrain")
    tests: dict[str, list[RunRow]] = {}
    for run in findings.runs:
        tests.setdefault(run.test or "runs", []).append(run)
    for test, runs in sorted(tests.items()):
        suite = SubElement(root, "testsuite", name=_clean(test), tests=str(len(runs)))
        for run in runs:
            _case(suite, run, known.get(run.group, ""))
        for counted in ("failure", "error", "skipped"):
            name = {"failure": "failures", "error": "errors"}.get(counted, counted)
            suite.set(name, str(len(suite.findall(f"testcase/{counted}"))))
        suite.set("time", f"{sum(run.load_s for run in runs):.3f}")
    ElementTree.indent(root)
    data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return data


def _case(suite: Element, run: RunRow, known: str) -> None:
    name = f"seed {run.seed}, {','.join(run.nemesis) or 'no faults'}, {run.members} members"
    case = SubElement(
        suite, "testcase", classname=_clean(run.test), name=_clean(name), time=f"{run.load_s:.3f}",
    )
    properties = SubElement(case, "properties")
    for key, value in _properties(run):
        SubElement(properties, "property", name=key, value=_clean(value))
    if run.valid is False and known:
        SubElement(case, "skipped", message=_clean(f"accepted: {known}"))
    elif run.valid is not True:
        tag = "error" if run.error and run.valid is None else "failure"
        kind = f"{run.checker}: {run.kind}" if run.kind else run.verdict
        child = SubElement(case, tag, type=_clean(kind), message=_clean(run.because))
        child.text = _clean(f"{run.because}\nreproduce: {run.reproduce}\nfolder: {run.folder}\n")


def _properties(run: RunRow) -> Iterator[tuple[str, str]]:
    facts = {
        "verdict": run.verdict, "system": run.system, "version": run.version,
        "commit": run.commit, "workload": run.workload, "nemesis": ",".join(run.nemesis),
        "mutant": run.mutant, "campaign": run.campaign, "group": run.group, "folder": run.folder,
        "reproduce": run.reproduce, "operations": str(run.ok + run.fail + run.info),
        "started": datetime.fromtimestamp(run.started, UTC).isoformat(),
    }
    yield from ((f"splitbrain_{name}", value) for name, value in facts.items() if value)


def _clean(text: str) -> str:
    return NOT_IN_XML.sub("\ufffd", text)
