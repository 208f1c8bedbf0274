"""Runs whose clients speak gRPC are valid, with members of this project and of etcd."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.options import read_options
from splitbrain.histories.trace import read_trace
from tests.conformance.server_pair import etcd_binary

pytestmark = pytest.mark.cluster


def options(folder: Path, **given: Any) -> Any:
    return read_options({
        "store": str(folder), "client": "grpc", "nodes": [3], "time_limit_s": 3.0, "rate": 150.0,
        "seed": 11, "nemesis": ["kill"], **given,
    })  # fmt: skip


def test_a_run_over_grpc_is_valid_and_its_traces_name_the_carrier(tmp_path: Path) -> None:
    result = run_sync(options(tmp_path, workload="kv", nemesis=[], follower_share=1.0))
    assert result.valid is True, result.results.verdicts
    events = [
        event for path in (tmp_path / "latest").resolve().glob("n*/trace.jsonl")
        for event in read_trace(path)
    ]  # fmt: skip
    carriers = Counter((event.step, event.carrier) for event in events)
    assert carriers["client_request", "grpc"] > 0
    assert carriers["respond", "grpc"] > 0
    assert carriers["client_request", ""] == carriers["client_request", "json"] == 0
    forwarded = {event.request for event in events if event.step == "follower_forward"}
    answered = {event.request for event in events if event.step == "respond"}
    assert forwarded & answered, "a follower forwards a write and answers it over gRPC"


def test_watches_over_grpc_are_valid(tmp_path: Path) -> None:
    result = run_sync(options(tmp_path, workload="watch"))
    assert result.valid is True, result.results.verdicts


def test_a_planted_bug_is_found_over_grpc(tmp_path: Path) -> None:
    result = run_sync(options(tmp_path, workload="kv", mutant="compare_lost", nemesis=[]))
    assert result.valid is False
    assert [one.checker for one in result.results.verdicts if one.valid is False] == ["mvcc"]


@pytest.mark.etcd
@pytest.mark.skipif(etcd_binary() is None, reason="needs the extra `etcd`")
def test_etcd_is_tested_over_grpc(tmp_path: Path) -> None:
    result = run_sync(options(tmp_path, system="etcd", workload="register"))
    assert result.valid is True, result.results.verdicts
