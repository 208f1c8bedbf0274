"""Known bugs of stock etcd: they show if they are not excused, and a control run stays valid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from splitbrain.harness.judging.judge import judge
from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.runs.execute import execute, run_sync
from splitbrain.harness.schedule.options import read_options
from splitbrain.harness.schedule.text import parse_schedule
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.systems.schedule_support import adapted

pytestmark = [pytest.mark.cluster, pytest.mark.etcd]

PUT = '{"op":"put","key":"k001","value":"0.2"}'
REFUSED_HALF_WAY = f"""
    seed 1
    members n1 n2 n3
    option workload "kv"
    100 ms  client 0  put on n1  {{"op":"put","key":"k000","value":"0.1"}}
    300 ms  client 0  txn on n1 ranges back 0:-9  \
{{"op":"txn","success":[{PUT},{{"op":"range","key":"k"}}]}}
    600 ms  client 0  get on n2  {{"op":"range","key":"k001"}}
    lasts 800 ms
"""


def verdicts(result: RunResult) -> dict[str, bool | None]:
    return {one.checker: one.valid for one in result.results.verdicts if one.applies}


def test_a_transaction_that_reads_the_future_makes_the_members_differ(tmp_path: Path) -> None:
    schedule = adapted(parse_schedule(REFUSED_HALF_WAY), "etcd")
    schedule = replace(schedule, options=replace(
        schedule.options, store=str(tmp_path), quiet_timeout_ms=1_000,
    ))
    result = execute(schedule, report=False)
    assert verdicts(result)["mvcc"] is False
    own = execute(replace(adapted(schedule, "simulated"), fails_by=""), report=False)
    assert own.valid is True, own.results


def test_a_control_run_of_stock_etcd_is_valid_and_lists_known_anomalies(tmp_path: Path) -> None:
    def run(workload: str, **options: Any) -> RunResult:
        return run_sync(read_options({
            "system": "etcd", "nodes": (3,), "nemesis": (), "rate": 150.0, "seed": 3,
            "time_limit_s": 3.0, "store": str(tmp_path), "known": ("all",),
            "workload": workload, **options,
        }), report=False)

    assert run("kv").valid is True
    result = run("watch")
    assert result.valid is True, result.results
    (watch,) = (one for one in result.results.verdicts if one.checker == "watch")
    record = RunFolder(result.folder).read_record()
    if record.versions["etcd"].startswith(("3.5.0", "3.5.1")):
        assert watch.counts["known bugs"]["etcd-15220"] > 0
        strict = judge(RunFolder(result.folder), record=replace(
            record, options=replace(record.options, known=()),
        ))
        assert strict.valid is False
