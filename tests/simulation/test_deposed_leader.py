"""A deposed leader that does not know it yet receives reads, and appends entries in vain."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from splitbrain.harness.runs.execute import execute_simulated
from splitbrain.harness.runs.execute_twice import difference, execute_twice
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.schedule.text import parse_schedule
from splitbrain.harness.store.run_folder import RunFolder

PUTS = "\n".join(
    f'{600 + 20 * n} ms  client 0  put on n2  {{"op":"put","key":"r0.1","value":"0.{n}"}}'
    for n in range(1, 20)
)
RUN = f"""
    members n1 n2 n3, led by n1
    option heartbeat_ms 20
    option election_ms 200
    option quiet_timeout_ms 5000
    option request_timeout_ms 400
    deposed longer by 20
    setting check_quorum false
    setting snapshot_count 3
    setting catch_up_entries 1
    50 ms  client 0  put on n1  {{"op":"put","key":"r0.1","value":"0.0"}}
    100 ms  partition n1 {{"shape":"isolate"}} until 1200 ms
    {PUTS}
    lasts 2500 ms
"""
CRASH = "100 ms  crash n1 after snapshot_receive for 300 ms\n"


def schedule_of(seed: int, more: str = "") -> Schedule:
    return parse_schedule(f"seed {seed}\n{RUN}{more}")


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_uncommitted_entries_of_a_deposed_leader_are_removed(seed: int, tmp_path: Path) -> None:
    schedule = schedule_of(seed, CRASH)
    run = execute_simulated(schedule, RunFolder(tmp_path))
    assert difference(run, schedule) is None
    assert run.valid is True, run.results.verdicts
    assert run.simulated is not None
    conditions = run.simulated.conditions
    assert conditions["a read was sent to a deposed leader"]
    assert conditions["a deposed leader appended more entries"]
    assert conditions["a restored snapshot ended before the follower's log did"]


def test_entries_that_return_after_a_restart_are_found(tmp_path: Path) -> None:
    schedule = schedule_of(1, CRASH)
    options = replace(schedule.options, mutant="stale_tail_after_snapshot", store=str(tmp_path))
    faulty = replace(schedule, options=options)
    result, difference = execute_twice(faulty)
    assert result.valid is False
    assert difference is None
