"""A fault at a step of the write path takes effect at this step, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.runs.execute import execute_simulated
from splitbrain.harness.runs.execute_twice import difference
from splitbrain.harness.schedule.text import parse_schedule
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.histories.history import History
from splitbrain.histories.trace import read_trace
from splitbrain.node import snapshot_stream
from splitbrain.node.failpoint import RECEIVE_STEPS

RUN = """
    seed 3
    members n1 n2 n3, led by n1
    option heartbeat_ms 20
    option election_ms 200
    option quiet_timeout_ms 5000
    option request_timeout_ms 400
    100 ms  client 0  put on n1  {"op":"put","key":"r0.1","value":"0.1"}
    600 ms  client 0  put on n1  {"op":"put","key":"r0.1","value":"0.2"}
"""
PUTS = "\n".join(
    f'{300 + 20 * n} ms  client 0  put on n1  {{"op":"put","key":"r0.1","value":"0.{n}"}}'
    for n in range(3, 20)
)
"""Puts that make members take snapshots, and let a follower need one."""


def run(
    fault: str, folder: Path, lasts_ms: int = 2500
) -> tuple[RunResult, dict[str, tuple[str, ...]]]:
    """The run, and the members that the fault hit in each of its phases."""
    schedule = parse_schedule(f"{RUN}\n{fault}\nlasts {lasts_ms} ms")
    simulated = execute_simulated(schedule, RunFolder(folder))
    assert difference(simulated, schedule) is None
    return simulated, {event.phase: event.members for event in RunFolder(folder).fault_events()}


def steps_of(folder: Path, member: str) -> list[str]:
    return [event.step for event in read_trace(folder / member / "trace.jsonl")]


def leader_of(folder: Path) -> str:
    (leader,) = [f"n{n}" for n in (1, 2, 3) if "lead" in steps_of(folder, f"n{n}")][:1]
    return leader


def test_a_crash_before_the_log_leaves_the_second_entry_out_of_it(tmp_path: Path) -> None:
    simulated, phases = run("op 2  crash n1 before leader_wal for 300 ms", tmp_path)
    assert simulated.valid is True
    assert list(phases) == ["begin", "began", "end", "ended"]
    (victim,) = phases["began"]
    steps = steps_of(tmp_path, victim)
    before, _, after = ("," .join(steps)).partition(",start,")
    assert after
    assert before.endswith(("replicate,replicate", "leader_receive"))


@pytest.mark.parametrize("do", ["power", "pause", "isolate", "sleep"])
@pytest.mark.parametrize("failpoint", ["before replicate", "after leader_wal"])
def test_the_correct_member_survives_a_fault_at_a_step(
    do: str, failpoint: str, tmp_path: Path
) -> None:
    simulated, phases = run(f"op 1  {do} n1 {failpoint} for 300 ms", tmp_path)
    assert simulated.valid is True, simulated.results.verdicts
    assert phases["began"]


def test_a_fault_at_a_step_that_is_never_reached_has_no_effect_and_is_disarmed(
    tmp_path: Path
) -> None:
    simulated, phases = run("op 2  crash n1 before follower_wal visit 900 for 300 ms", tmp_path)
    assert simulated.valid is True
    assert list(phases) == ["begin", "end", "ended"]
    assert [one.effect for one in simulated.results.faults] == [""]
    assert all(steps_of(tmp_path, f"n{n}").count("start") == 1 for n in (1, 2, 3))


def test_the_member_that_leads_takes_the_role_of_the_schedules_leader(tmp_path: Path) -> None:
    _, phases = run("op 1  pause n1 before leader_wal for 100 ms", tmp_path)
    leader = leader_of(tmp_path)
    assert phases["began"] == (leader,)
    history = History.read(tmp_path / "history.jsonl")
    assert [one.node for one in history.operations if one.f == "put"] == [leader, leader]


@pytest.mark.parametrize("step", RECEIVE_STEPS)
@pytest.mark.parametrize("edge", ["before", "after"])
@pytest.mark.parametrize("do", ["crash", "power", "isolate"])
def test_a_follower_that_crashes_while_it_receives_a_snapshot_catches_up(
    do: str, edge: str, step: str, tmp_path: Path
) -> None:
    simulated, phases = run(
        f"""
        setting snapshot_count 3
        setting catch_up_entries 1
        {PUTS}
        200 ms  partition n3 {{"shape":"isolate"}} until 900 ms
        200 ms  {do} n3 {edge} {step} for 300 ms
        """,
        tmp_path,
    )
    assert simulated.valid is True, simulated.results.verdicts
    assert phases["began"] == ("n3",)
    assert simulated.simulated is not None
    conditions = simulated.simulated.conditions
    assert conditions["a member was paused at a step"] == 1
    assert conditions["a follower restored a snapshot"] >= 1


@pytest.mark.parametrize("edge", ["before", "after"])
@pytest.mark.parametrize("do", ["crash", "power"])
def test_a_member_that_crashes_while_it_takes_a_snapshot_uses_its_own_log_again(
    do: str, edge: str, tmp_path: Path
) -> None:
    simulated, phases = run(
        f"""
        setting snapshot_count 3
        setting catch_up_entries 1
        setting wal_segment_bytes 4096
        {PUTS}
        200 ms  {do} n2 {edge} snapshot_take visit 3 for 300 ms
        """,
        tmp_path,
    )
    assert simulated.valid is True, simulated.results.verdicts
    assert phases["began"] == ("n2",)


def test_a_snapshot_arrives_over_a_link_that_needs_longer_than_the_raft_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raft abandons a snapshot without an answer after 100 heartbeats."""
    monkeypatch.setattr(snapshot_stream, "CHUNK_BYTES", 256)
    monkeypatch.setattr(snapshot_stream, "QUEUE_BYTES_MAX", 0)
    puts = "\n".join(
        f'{700 + 20 * n} ms  client 0  put on n1  '
        f'{{"op":"put","key":"r0.{n % 12}","value":"0.{n}{"~" * 3000}"}}'
        for n in range(3, 20)
    )
    simulated, _ = run(
        f"""
        setting snapshot_count 3
        setting catch_up_entries 1
        {puts}
        200 ms  partition n3 {{"shape":"isolate"}} until 1200 ms
        1150 ms  latency n3 {{"delay_ms":1,"jitter_ms":0,"rate_bytes_per_s":12000}} until 20000 ms
        """,
        tmp_path, lasts_ms=21_000,
    )
    assert simulated.valid is True, simulated.results.verdicts
    restored = [json.loads(line) for line in (tmp_path / "n3" / "log").read_text().splitlines()]
    times_s = [line["ns"] / 1e9 for line in restored if line["msg"] == "restored a snapshot"]
    assert any(4 < at_s < 15 for at_s in times_s), times_s
