"""A member crashes at exactly the scheduled operation of its disk, and recovers."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.runs.execute import execute_simulated
from splitbrain.harness.runs.execute_twice import difference
from splitbrain.harness.schedule.text import as_text, parse_schedule
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.nemesis.disk_fault import DISK_CALLS
from splitbrain.nemesis.fault_drawing import draw_faults

PUTS = "\n".join(
    f'{20 * n} ms  client 0  put on n1  {{"op":"put","key":"r0.1","value":"0.{n}{"~" * 600}"}}'
    for n in range(1, 30)
)
RUN = f"""
    seed 3
    members n1 n2 n3, led by n1
    option heartbeat_ms 20
    option election_ms 200
    option quiet_timeout_ms 5000
    option request_timeout_ms 400
    setting snapshot_count 3
    setting catch_up_entries 1
    setting snapshots_kept 1
    setting wal_segment_bytes 4096
    {PUTS}
"""
"""Members fill segments of the log, and take snapshots."""


def run(fault: str, folder: Path) -> tuple[RunResult, list[str]]:
    schedule = parse_schedule(f"{RUN}\n{fault}\nlasts 2000 ms")
    assert parse_schedule(as_text(schedule)) == schedule
    simulated = execute_simulated(schedule, RunFolder(folder))
    assert difference(simulated, schedule) is None
    return simulated, [event.phase for event in RunFolder(folder).fault_events()]


def crashes(simulated: RunResult) -> dict[str, int]:
    assert simulated.simulated is not None
    prefix = "a member crashed at a disk operation: "
    return {
        condition.removeprefix(prefix): count
        for condition, count in simulated.simulated.conditions.items()
        if condition.startswith(prefix) and count
    }


@pytest.mark.parametrize("call", DISK_CALLS)
@pytest.mark.parametrize(
    ("edge", "do"), [("before", "power"), ("after", "power"), ("after", "crash")]
)
def test_a_member_crashes_at_the_operation_and_recovers(
    call: str, edge: str, do: str, tmp_path: Path
) -> None:
    fields = f'"call":"{call}","edge":"{edge}","do":"{do}"'
    simulated, phases = run(f"0 ms  disk_crash n2 {{{fields}}} until 200 ms", tmp_path)
    assert simulated.valid is True, simulated.results.verdicts
    assert phases == ["begin", "began", "end", "ended"]
    assert crashes(simulated) == {call: 1}
    (fault,) = simulated.results.faults
    assert fault.effect == f"n2 crashed {edge} {call} 1 of its disk, 1 times in all"


def test_restarts_are_interrupted_as_often_as_scheduled(tmp_path: Path) -> None:
    fields = '"call":"rename","area":"log","again":[1,4,7]'
    simulated, _ = run(f"0 ms  disk_crash n2 {{{fields}}} until 200 ms", tmp_path)
    assert simulated.valid is True, simulated.results.verdicts
    assert sum(crashes(simulated).values()) == 4


def test_an_operation_that_is_never_reached_has_no_effect(tmp_path: Path) -> None:
    simulated, phases = run(
        '200 ms  disk_crash n2 {"call":"remove","area":"backend"} until 400 ms', tmp_path
    )
    assert simulated.valid is True
    assert phases == ["begin", "end", "ended"]
    assert [one.effect for one in simulated.results.faults] == [""]


def test_of_several_members_only_the_first_that_reaches_the_operation_crashes(
    tmp_path: Path
) -> None:
    simulated, _ = run('200 ms  disk_crash all {"call":"sync"} until 400 ms', tmp_path)
    assert simulated.valid is True
    assert crashes(simulated) == {"sync": 1}


@pytest.mark.parametrize("members", [1, 3])
def test_each_operation_is_drawn(members: int) -> None:
    names = [f"n{number}" for number in range(1, members + 1)]
    faults = [
        one.fault for seed in range(20)
        for one in draw_faults(seed, ("disk_crash",), 20_000, names)
    ]
    drawn = {getattr(fault, "call", None) for fault in faults}
    assert {"rename", "remove", "create", "sync", "write", "commit", "sync_directory"} <= drawn
    assert {len(fault.again) for fault in faults} == {0, 1, 2}  # type: ignore[union-attr]
