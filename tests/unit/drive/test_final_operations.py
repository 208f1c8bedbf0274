"""A run ends with writes and reads through every member, and notes when the harness stalls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest

from splitbrain.harness.clients.completion import Completion
from splitbrain.harness.clients.session import EtcdClient
from splitbrain.harness.drive import final_phase
from splitbrain.harness.drive.final_phase import FinalOperations
from splitbrain.harness.drive.sessions import Sessions
from splitbrain.harness.drive.stall_monitor import LATE_NS, PERIOD_NS, StallMonitor
from splitbrain.harness.store.records import Stall
from splitbrain.harness.systems.system import Address, System
from splitbrain.harness.workloads.catalogue import make_workload
from splitbrain.harness.workloads.operations_outside_load import FINAL_KEY, final_reads, final_write
from splitbrain.harness.workloads.workload import Draft, Workload
from splitbrain.histories.history import History, Operation
from splitbrain.histories.kv import Put, PutResult, Range, RangeResult
from splitbrain.histories.recorder import Recorder

MS = 1_000_000


class Members(EtcdClient):
    """A system and its client. Each member fails as often as `failures` says, then it answers."""

    def __init__(self, **failures: int) -> None:
        self.failures = failures

    def address(self, member: str) -> Address:
        return Address(member, member, member)

    async def call(self, url: str, request: Any) -> Completion:
        if self.failures.get(url, 0) > 0:
            self.failures[url] -= 1
            return Completion("info", None, "503 etcdserver: no leader")
        return Completion("ok", RangeResult() if isinstance(request, Range) else PutResult(), "")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(final_phase, "FINAL_PAUSE_S", 0.0)


def put(value: str) -> Draft:
    return Draft("final_write", Put(FINAL_KEY, value))


def recorded(
    path: Path, members: Members, tries_max: int = 100, reads: Sequence[Draft] = ()
) -> list[Operation]:
    """The operations of a final phase through n1 and n2, with at most `tries_max` tries."""
    tries = count(1)

    async def main() -> None:
        recorder = Recorder(path / "history.jsonl")
        sessions = Sessions(system=cast("System", members), clients=members, recorder=recorder)
        final = FinalOperations(sessions, count(30))
        await final.write_through(("n1", "n2"), put, lambda: next(tries) >= tries_max)
        await final.read(("n1", "n2"), reads, limit_s=0.0)
        recorder.close()

    asyncio.run(main())
    return list(History.read(path / "history.jsonl").operations)


def test_each_member_is_written_through_until_it_answers(tmp_path: Path) -> None:
    operations = recorded(tmp_path, Members(n2=2))
    assert [one.outcome for one in operations if one.node == "n1"] == ["ok"]
    assert [one.outcome for one in operations if one.node == "n2"] == ["info", "info", "ok"]
    values = [one.request.value for one in operations if isinstance(one.request, Put)]
    assert len(set(values)) == len(values) == 4
    assert len({one.process for one in operations}) == 4
    assert min(one.process for one in operations) == 30


def test_a_member_that_never_answers_is_written_through_until_the_limit(tmp_path: Path) -> None:
    operations = recorded(tmp_path, Members(n2=1000), tries_max=5)
    assert [one.outcome for one in operations if one.node == "n2"] == ["info"] * 5
    assert [one.outcome for one in operations if one.node == "n1"] == ["ok"]


def test_after_the_limit_each_remaining_read_is_sent_once(tmp_path: Path) -> None:
    reads = (Draft("final_read", Range("a")), Draft("final_read", Range("b")))
    operations = recorded(tmp_path, Members(n1=3), tries_max=1, reads=reads)
    finals = [(one.node, one.outcome) for one in operations if one.f == "final_read"]
    assert finals == [("n1", "info"), ("n1", "info"), ("n2", "ok"), ("n2", "ok")]


class Unusual:
    """A workload whose store serves no put, and whose final read is serializable."""

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (Draft("final_read", Range("x", serializable=True)),)

    def final_write(self, value: str) -> Draft | None:
        return None


def test_a_workload_may_replace_the_final_write_and_always_gets_a_linearizable_read() -> None:
    kv, unusual = make_workload("kv", {}), cast("Workload", Unusual())
    assert final_write(kv, "n1.1") == put("n1.1")
    assert final_write(unusual, "n1.1") is None
    assert final_reads(kv, 3) == tuple(kv.final_operations(3))
    assert [one.request for one in final_reads(unusual, 3)] == [
        Range("x", serializable=True), Range(FINAL_KEY)
    ]


def test_a_check_that_comes_late_is_a_stall() -> None:
    now = [0]
    monitor = StallMonitor(lambda: now[0])
    monitor.note(100 * MS, 100 * MS + LATE_NS - 1)
    assert monitor.stalls == []
    monitor.note(200 * MS, 900 * MS)
    assert monitor.stalls == [Stall(200 * MS, 900 * MS)]
    now[0] = 1_000 * MS
    assert monitor.unstalled_ns() == 300 * MS


def test_a_blocked_loop_is_noticed() -> None:
    now = [0]
    monitor = StallMonitor(lambda: now[0])

    async def main() -> None:
        task = asyncio.create_task(monitor.run())
        await asyncio.sleep(0)
        now[0] += PERIOD_NS + LATE_NS  # the clock of the history passes, and the loop does not run
        await asyncio.sleep(2 * PERIOD_NS / 1e9)
        task.cancel()

    asyncio.run(main())
    assert monitor.stalls == [Stall(PERIOD_NS, PERIOD_NS + LATE_NS)]
