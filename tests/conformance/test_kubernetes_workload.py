"""The workload `kubernetes` is valid on processes: on this project's members and on etcd."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.options import read_options
from tests.conformance.server_pair import etcd_binary

pytestmark = pytest.mark.cluster
USED = ("grant", "create", "update", "remove", "get", "list", "list_more", "count", "event")


def is_valid(store: Path, **options: object) -> None:
    """Run the workload, and check that each of its parts has succeeded and was judged."""
    given = {"workload": "kubernetes", "nodes": (3,), "nemesis": (), "seed": 5, "time_limit_s": 4.0}
    result = run_sync(read_options({**given, "store": str(store), **options}), report=False)
    verdicts = {one.checker: one for one in result.results.verdicts}
    assert result.valid is True, verdicts
    for name in USED:
        assert result.results.operations[name]["ok"] > 0, name
    assert {"mvcc", "watch", "lease"} <= verdicts.keys()
    assert verdicts["watch"].counts["events"] > 0, verdicts["watch"].counts


def test_members_of_this_project_are_valid(tmp_path: Path) -> None:
    is_valid(tmp_path, system="python_node", client="grpc")


@pytest.mark.etcd
@pytest.mark.skipif(etcd_binary() is None, reason="needs the extra `etcd`")
def test_etcd_is_valid_without_its_known_bugs(tmp_path: Path) -> None:
    is_valid(tmp_path, system="etcd", known=("all",))
