"""The space quota and automatic compaction limit the data of three simulated members."""

from __future__ import annotations

from pathlib import Path

from splitbrain.node.messages import errors
from splitbrain.node.messages.rpc import (
    AlarmAction,
    AlarmRequest,
    AlarmType,
    CompactionRequest,
    DefragmentRequest,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    StatusRequest,
    TxnRequest,
)
from tests.simulation.three_members import MEMBERS, ThreeMembers, run_three

ALARM, PUT, RANGE = "/v3/maintenance/alarm", "/v3/kv/put", "/v3/kv/range"
TXN, DELETE, COMPACT = "/v3/kv/txn", "/v3/kv/deleterange", "/v3/kv/compaction"
NO_SPACE = errors.no_space().message
STATUS, DEFRAGMENT = "/v3/maintenance/status", "/v3/maintenance/defragment"
COMPACTED = errors.compacted().message
QUOTA_BYTES = 64 * 1024


async def filled(members: ThreeMembers) -> int:
    """Put values at n1 until a put is refused. Returns the number of puts that succeeded."""
    for number in range(200):
        put = PutRequest(b"k%d" % number, b"x" * 1000)
        if await members.refusal("n1", PUT, put) == NO_SPACE:
            return number
        await members.sleep(0.01)
    raise AssertionError("no put was refused")


async def raised_at(members: ThreeMembers, member: str) -> list[int]:
    return [
        one.alarm
        for one in (await members.call(member, ALARM, AlarmRequest())).alarms
    ]


def test_a_full_member_raises_an_alarm_that_stops_writes_at_every_member(tmp_path: Path) -> None:
    async def scenario(members: ThreeMembers) -> None:
        assert 20 < await filled(members) < 64
        small = PutRequest(b"k", b"v")
        for member in MEMBERS:
            assert AlarmType.NOSPACE in await raised_at(members, member)
            assert await members.refusal(member, PUT, small) == NO_SPACE
            assert await members.refusal(member, TXN, TxnRequest(success=(small,))) == NO_SPACE
            nested = TxnRequest(success=(TxnRequest(success=(small,)),))
            assert await members.refusal(member, TXN, nested) == NO_SPACE
            assert (await members.call(member, RANGE, RangeRequest(b"k1"))).count == 1
        await members.call("n2", DELETE, DeleteRangeRequest(b"k", b"l"))
        revision = (await members.call("n3", RANGE, RangeRequest(b"k"))).header.revision
        await members.call("n3", COMPACT, CompactionRequest(revision))

    run_three(tmp_path, scenario, backend_quota_bytes=QUOTA_BYTES)


def test_a_defragmented_cluster_has_room_again(tmp_path: Path) -> None:
    async def scenario(members: ThreeMembers) -> None:
        await filled(members)
        await members.call("n2", DELETE, DeleteRangeRequest(b"k", b"l"))
        revision = (await members.call("n3", RANGE, RangeRequest(b"k"))).header.revision
        await members.call("n3", COMPACT, CompactionRequest(revision))
        await members.sleep(1.0)
        full = (await members.call("n1", STATUS, StatusRequest())).db_size
        for member in MEMBERS:
            await members.call(member, DEFRAGMENT, DefragmentRequest())
        assert (await members.call("n1", STATUS, StatusRequest())).db_size < full / 4
        for alarm in (await members.call("n1", ALARM, AlarmRequest())).alarms:
            cleared = AlarmRequest(AlarmAction.DEACTIVATE, alarm.member_id, alarm.alarm)
            await members.call("n1", ALARM, cleared)
        for member in MEMBERS:
            await members.call(member, PUT, PutRequest(b"k", b"x" * 1000))

    run_three(tmp_path, scenario, backend_quota_bytes=QUOTA_BYTES)


def test_alarms_survive_restarts_and_end_when_they_are_cleared(tmp_path: Path) -> None:
    async def scenario(members: ThreeMembers) -> None:
        raised = AlarmRequest(AlarmAction.ACTIVATE, 7, AlarmType.NOSPACE)
        await members.call("n1", ALARM, raised)
        await members.sleep(1.0)
        for member in MEMBERS:
            members.cluster.kill(member)
            members.cluster.start(member)
        await members.system.start()
        for member in MEMBERS:
            assert await raised_at(members, member) == [AlarmType.NOSPACE]
            assert await members.refusal(member, PUT, PutRequest(b"k")) == NO_SPACE
        await members.call("n2", ALARM, AlarmRequest(AlarmAction.DEACTIVATE, 7, AlarmType.NOSPACE))
        for member in MEMBERS:
            await members.call(member, PUT, PutRequest(b"k"))

    run_three(tmp_path, scenario)


def test_the_leader_keeps_the_given_number_of_revisions(tmp_path: Path) -> None:
    async def scenario(members: ThreeMembers) -> None:
        for _ in range(30):
            await members.call("n2", PUT, PutRequest(b"k"))
        await members.sleep(2.5)
        for member in MEMBERS:
            at = RangeRequest(b"k", revision=20)
            assert await members.refusal(member, RANGE, at) == COMPACTED
            assert not await members.refusal(member, RANGE, RangeRequest(b"k", revision=21))

    run_three(tmp_path, scenario, compaction_revisions=10, compaction_interval_ms=1000)


def test_the_leader_keeps_the_revisions_of_the_given_period(tmp_path: Path) -> None:
    async def scenario(members: ThreeMembers) -> None:
        for _ in range(10):
            await members.call("n2", PUT, PutRequest(b"k"))
        await members.sleep(1.0)
        assert not await members.refusal("n1", RANGE, RangeRequest(b"k", revision=5))
        await members.sleep(6.0)
        for member in MEMBERS:
            at = RangeRequest(b"k", revision=10)
            assert await members.refusal(member, RANGE, at) == COMPACTED
            assert not await members.refusal(member, RANGE, RangeRequest(b"k", revision=11))

    run_three(tmp_path, scenario, compaction_period_ms=3000)


def test_a_defragmentation_includes_changes_that_are_applied_but_not_flushed(
    tmp_path: Path,
) -> None:
    async def scenario(members: ThreeMembers) -> None:
        for number in range(20):
            await members.call("n1", PUT, PutRequest(b"k%d" % number, b"x" * 4096))
        await members.sleep(5)
        assert (await members.call("n1", STATUS, StatusRequest())).db_size > 80_000
        await members.call("n1", DELETE, DeleteRangeRequest(b"k", b"l"))
        revision = (await members.call("n1", RANGE, RangeRequest(b"k"))).header.revision
        await members.call("n1", COMPACT, CompactionRequest(revision, physical=True))
        await members.call("n1", DEFRAGMENT, DefragmentRequest())
        assert (await members.call("n1", STATUS, StatusRequest())).db_size < 20_000

    run_three(tmp_path, scenario, backend_batch_interval_ms=1000)
