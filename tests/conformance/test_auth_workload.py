"""The workload `auth` is valid on processes: on this project's members and on etcd."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.options import read_options


def run(store: Path, **options: object) -> RunResult:
    given = {"workload": "auth", "nodes": (3,), "nemesis": (), "seed": 5, "time_limit_s": 3.0}
    return run_sync(read_options({**given, "store": str(store), **options}), report=False)


def judged(result: RunResult) -> int:
    (verdict,) = (one for one in result.results.verdicts if one.checker == "auth")
    return int(verdict.counts["with a token"])


@pytest.mark.cluster
@pytest.mark.parametrize("client", ["json", "grpc"])
def test_members_of_this_project_are_valid_over_each_carrier(tmp_path: Path, client: str) -> None:
    result = run(tmp_path, system="python_node", client=client)
    assert result.valid is True, result.results.verdicts
    assert judged(result) > 20


@pytest.mark.etcd
@pytest.mark.cluster
def test_etcd_is_valid_without_its_known_bugs(tmp_path: Path) -> None:
    result = run(tmp_path, system="etcd", known=("all",))
    assert result.valid is True, result.results.verdicts
    assert judged(result) > 20
