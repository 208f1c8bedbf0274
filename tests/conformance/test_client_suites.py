"""The test suites of clients that others wrote for etcd pass against three of our members."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client_suites.catalogue import SUITES, Suite
from tests.client_suites.install import is_installed
from tests.client_suites.members import namespaces_unavailable
from tests.client_suites.run import run_in_namespaces
from tests.conformance.server_pair import etcd_binary

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.etcd,
    pytest.mark.skipif(etcd_binary() is None, reason="needs the extra `etcd`"),
]
ROOT = Path(__file__).resolve().parents[2]


def passes(suite: Suite, *, sample: bool, at_least: int) -> None:
    if not is_installed(suite):
        pytest.skip(f"{suite.release} is not installed; try: make suites")
    reason = namespaces_unavailable()
    if reason is not None:
        pytest.skip(f"a process cannot have a network of its own here: {reason}")
    result = run_in_namespaces(suite, sample=sample)
    assert not result.failed, result.output
    assert not result.skipped, result.output
    assert len(result.passed) >= at_least, result.output


@pytest.mark.parametrize(("name", "at_least"), [("python-etcd3", 20), ("etcd3gw", 20)])
def test_the_quick_tests_of_a_suite_pass(name: str, at_least: int) -> None:
    passes(SUITES[name], sample=True, at_least=at_least)


@pytest.mark.campaign
@pytest.mark.parametrize(("name", "at_least"), [("python-etcd3", 80), ("etcd3gw", 39)])
def test_a_whole_suite_passes(name: str, at_least: int) -> None:
    passes(SUITES[name], sample=False, at_least=at_least)


def test_the_docs_name_each_test_that_is_left_out() -> None:
    page = (ROOT / "docs/reference/member.md").read_text()
    for suite in SUITES.values():
        assert suite.release in page
        for test, reason in suite.left_out.items():
            assert f"| `{test.partition('::')[2]}` | {reason} |" in page
