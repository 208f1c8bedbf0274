"""Requests are answered within their bound while a majority is healthy, and reads wake up."""

from __future__ import annotations

import asyncio

import pytest

from splitbrain.harness.schedule.network_and_disk_conditions import (
    IDEAL_DISK,
    IDEAL_NETWORK,
    DiskConditions,
    NetworkConditions,
)
from splitbrain.harness.simulation.raft_invariants.request_liveness import (
    SILENT_REQUESTS_MIN,
    bound_ns,
)
from splitbrain.histories.kv import Compact, Put, Range
from splitbrain.histories.service_operation import AnyRequest
from splitbrain.nemesis.disk_fault import HEALTHY, DiskState
from splitbrain.node.messages import errors
from splitbrain.node.messages.rpc import WriteRequest
from splitbrain.node.raft.ready import ReadState
from splitbrain.node.read_barrier import ReadBarrier
from splitbrain.node.server import Server
from tests.simulation.simulated_members import SimulatedMembers


def in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a member answers no write."""

    async def propose(self: Server, operation: WriteRequest) -> None:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(Server, "propose", propose)


def refusing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """From now on a member refuses all writes with `error`."""

    async def propose(self: Server, operation: WriteRequest) -> None:
        raise error

    monkeypatch.setattr(Server, "propose", propose)


def test_correct_members_answer_within_the_bound() -> None:
    members = SimulatedMembers()
    for name in members.cluster.members:
        assert members.call(name, Put("a", name)) == "ok"
        assert members.call(name, Range("a")) == "ok"
    assert members.cluster.requests.judged == 6
    assert 0 < members.cluster.requests.longest < 1
    assert members.violations == []


def test_a_write_without_an_answer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    members = SimulatedMembers()
    in_vain(monkeypatch)
    assert members.call("n2", Put("a", "1")) == "info"
    (found,) = members.violations
    assert "n2 did not answer a put that arrived at 2.000 s for 2.000 s, while n" in found
    assert f"have been connected and healthy under the leader {members.leader()} since" in found
    members.call("n2", Put("a", "2"))
    assert len(members.violations) == 1, "the first one of each member and kind"


@pytest.mark.parametrize("request_", [Range("a", serializable=True), Compact(1)])
def test_other_requests_are_not_judged(
    request_: AnyRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = SimulatedMembers()
    in_vain(monkeypatch)
    members.call("n2", request_)
    assert members.cluster.requests.judged == 0
    assert members.violations == []


@pytest.mark.parametrize("disturb", [
    lambda m, name: m.isolate(name),
    lambda m, name: m.cluster.health.disturb(name),
    lambda m, name: setattr(m.cluster.members[name].disk, "state", DiskState(slow_ms=1)),
    lambda m, name: m.cluster.members[name].clock.drift(100),
    lambda m, name: m.cluster.members[name].server.failpoints.set("before_respond", "sleep(1)"),
    lambda m, name: m.cluster.health.rare_condition("the inbox is full"),
    lambda m, name: m.cluster.health.rare_condition("tiny appends"),
], ids=["partition", "disturbed", "disk", "drift", "failpoint", "lossy", "limited"])
def test_a_disturbed_member_is_not_judged(
    disturb: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = SimulatedMembers()
    in_vain(monkeypatch)
    members.loop.call_later(0.001, disturb, members, "n2")  # type: ignore[arg-type]
    members.call("n2", Put("a", "1"))
    assert members.violations == []


def test_a_sync_that_a_slow_disk_has_prolonged_disturbs_its_member_until_its_end() -> None:
    members = SimulatedMembers(1)
    disk = members.cluster.members["n1"].disk
    disk.state = DiskState(slow_ms=2_000)
    members.call("n1", Put("a", "1"), timeout_ms=10)
    disk.state = HEALTHY
    began_ns = members.loop.now_ns
    # The write waits for the sync of the write before it.
    assert members.call("n1", Put("a", "2")) == "ok"
    assert disk.slow_until_ns - began_ns > 2 * bound_ns(IDEAL_NETWORK, IDEAL_DISK)
    assert members.violations == []


def test_a_request_that_arrives_at_the_time_of_a_disturbance_is_not_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    members = SimulatedMembers()

    async def lost(self: Server, operation: WriteRequest) -> None:
        members.cluster.health.disturb("n2")
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(Server, "propose", lost)
    assert members.call("n2", Put("a", "1")) == "info"
    assert members.cluster.requests.judged == 0
    assert members.violations == []


def test_a_read_may_wait_until_a_lost_round_is_repeated() -> None:
    members = SimulatedMembers()
    follower = members.followers()[0]
    members.isolate(follower)
    # This read begins a round, which is lost. The next read waits until the round is repeated.
    assert members.call(follower, Range("a"), timeout_ms=20) == "fail"
    members.heal(follower)
    members.wait(0.1)
    began_s = members.loop.time()
    assert members.call(follower, Range("a")) == "ok"
    assert members.loop.time() - began_s > bound_ns(IDEAL_NETWORK, IDEAL_DISK) / 1e9
    assert members.violations == []


def test_a_minority_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    members = SimulatedMembers()
    in_vain(monkeypatch)
    leader = members.leader()
    members.isolate(leader)
    members.call(leader, Put("a", "1"), timeout_ms=400)
    assert members.violations == []


def test_members_that_refuse_all_writes_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    members = SimulatedMembers()
    refusing(monkeypatch, errors.no_space())
    for _ in range(SILENT_REQUESTS_MIN):
        members.call("n1", Put("a", "1"))
        members.wait(1.0)
    (found,) = members.violations
    assert "n1 has answered no write for 4." in found
    assert "5 were not served, 5 of them with: etcdserver: mvcc: database space exceeded" in found


def test_a_refusal_because_of_the_request_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    members = SimulatedMembers()
    refusing(monkeypatch, errors.compacted())
    for _ in range(2 * SILENT_REQUESTS_MIN):
        members.call("n1", Put("a", "1"))
        members.wait(1.0)
    assert members.violations == []


def test_an_answer_ends_a_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    members = SimulatedMembers()
    for _ in range(3):
        with monkeypatch.context() as patch:
            refusing(patch, errors.no_space())
            for _ in range(SILENT_REQUESTS_MIN - 1):
                members.call("n1", Put("a", "1"))
                members.wait(0.4)
        assert members.call("n1", Put("a", "1")) == "ok"
    assert members.violations == []


def test_healthy_members_that_elect_no_leader_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from splitbrain.node.raft import election

    members = SimulatedMembers()
    monkeypatch.setattr(election, "can_grant_vote", lambda *_: False)
    members.cluster.kill(members.leader())
    members.wait(1.0)
    running = [name for name, one in members.cluster.members.items() if one.runs]
    assert members.call(running[0], Put("a", "1")) == "fail"
    assert members.violations == []
    members.wait(10.0)
    members.call(running[0], Put("a", "1"))
    (found,) = members.violations
    assert f"{', '.join(running)} have been connected and healthy without a leader for" in found


def test_the_bound_of_a_request_follows_the_conditions() -> None:
    ideal = bound_ns(IDEAL_NETWORK, IDEAL_DISK)
    assert 100_000_000 < ideal < 200_000_000
    slow = NetworkConditions(delay_us=(5_000, 10_000))
    assert bound_ns(slow, IDEAL_DISK) - ideal == pytest.approx(8 * 44_440_000, rel=0.01)
    disk = DiskConditions(sync_ms=15.0, commit_ms=200.0)
    assert bound_ns(IDEAL_NETWORK, disk) - ideal == 20 * 30_000_000 + 2 * 400_000_000


# --- reads ------------------------------------------------------------------------------------


def test_a_read_that_is_not_woken_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    members = SimulatedMembers()

    def confirmed(self: ReadBarrier, state: ReadState) -> None:
        """Lose the notification."""

    monkeypatch.setattr(ReadBarrier, "confirmed", confirmed)
    members.call("n3", Range("a"))
    found = next(one for one in members.violations if "keeps a read waiting" in one)
    assert "n3 keeps a read waiting that began at 2.0" in found
    assert " was applied 0.5" in found


def test_a_read_that_began_after_a_round_is_not_in_it() -> None:
    members = SimulatedMembers()
    server = members.cluster.members["n1"].server
    assert server is not None
    members.isolate("n1")
    server.raft.read_index(b"a round")
    members.loop.create_task(asyncio.wait_for(server.linearizable_read(), 3), name="read")
    members.wait(0.1)
    server.raft.read_states.append(ReadState(1, b"a round"))
    members.wait(1.0)
    assert not any("keeps a read waiting" in one for one in members.violations)


@pytest.mark.parametrize(("applied", "violations"), [(4, 1), (5, 0), (6, 0)])
def test_a_read_waits_for_the_entries_that_were_committed_when_it_began(
    applied: int, violations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = SimulatedMembers()
    invariants, server = members.cluster.invariants, members.cluster.members["n1"].server
    assert server is not None
    invariants.observations.last_committed = 5

    async def too_early(self: ReadBarrier) -> None:
        invariants.observations.last_committed = 9  # committed after the read began

    monkeypatch.setattr(ReadBarrier, "wait", too_early)
    monkeypatch.setattr(server.store, "consistent_index", applied)
    members.loop.run_until_complete(server.linearizable_read())
    assert len(members.violations) == violations


def test_a_fault_that_ends_is_a_disturbance_until_then() -> None:
    members = SimulatedMembers()
    disk = members.cluster.members["n1"].disk
    disk.state = DiskState(full=True)
    assert members.cluster.health.member_since("n1") is None
    disk.state = HEALTHY
    members.cluster.health.disturb("n1", for_s=1.0)
    assert members.cluster.health.member_since("n1") is None
    members.wait(1.5)
    assert members.cluster.health.member_since("n1") == 3_000_000_000
