"""One schedule runs in simulation, on this project's own members and on real etcd."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.runs.execute import execute
from splitbrain.harness.schedule.text import parse_schedule
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.store.schedule_source import schedule_at
from splitbrain.harness.systems.member_settings.setting_flags import setting_flags
from splitbrain.harness.systems.schedule_support import adapted
from splitbrain.histories.history import History
from splitbrain.histories.kv import Put, Range, RangeResult

ISOLATED = """
    seed 1
    members n1 n2 n3
    option workload "kv"
    setting snapshot_count 20
    100 ms  client 0  put on n1  {"op":"put","key":"k000","value":"0.1"}
    500 ms  partition n3 until 5500 ms
    1000 ms  client 0  put on n1  {"op":"put","key":"k000","value":"0.2"}
    2000 ms  client 2  put on n1  {"op":"put","key":"k000","value":"0.3"}
    3000 ms  client 3  put on n2  {"op":"put","key":"k000","value":"0.4"}
    4000 ms  client 4  put on n1  {"op":"put","key":"k000","value":"0.5"}
    5000 ms  client 5  put on n2  {"op":"put","key":"k000","value":"0.6"}
    7500 ms  client 1  get on n3  {"op":"range","key":"k000"}
    lasts 8000 ms
"""
REFUSED = {
    "op 1  crash n1 before replicate for 100 ms": "cannot be held at before_replicate",
    "buggify": "`buggify`",
    'network {"loss_percent":5.0}': "`network`",
    'disk {"sync_ms":2.0}': "`disk`",
    "setting check_quorum false": "the setting check_quorum is not a flag",
}


@pytest.mark.cluster
@pytest.mark.parametrize("system", [
    "simulated", "python_node", pytest.param("etcd", marks=pytest.mark.etcd)
])
def test_a_read_from_a_member_after_its_isolation_returns_the_newest_value(
    system: str, tmp_path: Path
) -> None:
    schedule = adapted(parse_schedule(ISOLATED), system)
    schedule = replace(schedule, options=replace(schedule.options, store=str(tmp_path)))
    result = execute(schedule, report=False)
    assert result.valid is True, result
    history = History.read(RunFolder(result.folder).history)
    (partition,) = history.faults
    assert partition.members == ("n3",)
    assert partition.end is not None
    # If n3 leads at first, the puts before the next election are lost and have no answer.
    acknowledged = [
        op.request.value for op in history.operations
        if isinstance(op.request, Put) and op.outcome == "ok"
        and op.ret is not None and partition.begin < op.call and op.ret < partition.end
    ]
    assert acknowledged
    read = next(op for op in history.operations if isinstance(op.request, Range))
    assert (read.outcome, read.node) == ("ok", "n3")
    assert read.call > partition.end
    assert isinstance(read.result, RangeResult)
    assert read.result.kvs[0].value >= acknowledged[-1]
    stored = schedule_at(result.folder)
    assert replace(stored, options=schedule.options) == schedule
    files = [path.name for path in (result.folder / "n1").iterdir()]
    assert "data" not in files  # a valid run keeps no data


@pytest.mark.parametrize("line", list(REFUSED))
def test_a_schedule_that_real_etcd_does_not_support_is_refused_before_the_run(line: str) -> None:
    schedule = parse_schedule(f"{ISOLATED}\n{line}\n")
    with pytest.raises(BadArguments, match=REFUSED[line]):
        adapted(schedule, "etcd")


def test_on_processes_a_power_loss_is_a_kill_with_the_flag_hold_unsynced() -> None:
    schedule = adapted(
        parse_schedule(f"{ISOLATED}\n100 ms  power n1 until 300 ms\n"), "python_node"
    )
    tags = sorted(str(one.fault.__struct_config__.tag) for one in schedule.faults)
    assert tags == ["kill", "partition"]
    assert "--hold-unsynced" in schedule.options.member_flags


def test_settings_become_flags_of_real_members() -> None:
    schedule = parse_schedule(ISOLATED)
    assert setting_flags(adapted(schedule, "python_node")) == ("--snapshot-count", "20")
    assert setting_flags(adapted(schedule, "etcd")) == ("--snapshot-count", "20")
