"""The leader notices that the data of a member differs, and all members stop to serve writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from splitbrain.node.maintenance import corruption_check
from splitbrain.node.messages import errors
from splitbrain.node.messages.lease import LeaseGrantRequest
from splitbrain.node.messages.rpc import (
    AlarmAction,
    AlarmRequest,
    AlarmType,
    CompactionRequest,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    TxnRequest,
)
from splitbrain.node.mvcc.key_value import decode_key_value, encode_key_value
from tests.simulation.three_members import MEMBERS, ThreeMembers, run_three

ALARM, PUT = "/v3/maintenance/alarm", "/v3/kv/put"
INTERVAL_MS = 500


async def write_some(members: ThreeMembers) -> None:
    for number in range(10):
        await members.call(MEMBERS[number % 3], PUT, PutRequest(b"k%d" % number, b"v"))


def corrupt(members: ThreeMembers, member: str) -> int:
    """Change a value in the backend of a member, with a correct checksum. Returns its id.

    The next flush of the backend makes the change durable.
    """
    server = members.cluster.members[member].server
    assert server is not None
    key, stored = next(iter(server.backend.range(b"key", b"", limit=1)))
    changed = replace(decode_key_value(stored), value=b"corrupt")
    server.backend.put(b"key", key, encode_key_value(changed))
    return server.member_id


async def alarms(members: ThreeMembers) -> list[tuple[int, int]]:
    found = (await members.call("n1", ALARM, AlarmRequest())).alarms
    return [(one.member_id, one.alarm) for one in found]


async def a_difference_is_noticed(members: ThreeMembers) -> None:
    await write_some(members)
    follower = next(
        name for name, one in members.cluster.members.items()
        if one.server is not None and one.server.raft.leader != one.server.member_id
    )  # fmt: skip
    identity = corrupt(members, follower)
    # The first answer of a peer is lost, because its link to the leader is not connected yet.
    await members.sleep(30.0)
    assert await alarms(members) == [(identity, AlarmType.CORRUPT)]
    for member in MEMBERS:
        assert await members.refusal(member, PUT, PutRequest(b"k")) == errors.corrupt().message


def test_a_member_whose_data_differs_is_noticed(tmp_path: Path) -> None:
    run_three(tmp_path, a_difference_is_noticed, corruption_check_interval_ms=INTERVAL_MS)


def test_the_alarm_refuses_writes_and_not_reads_until_it_is_disarmed(tmp_path: Path) -> None:
    async def scenario(members: ThreeMembers) -> None:
        await a_difference_is_noticed(members)
        refused: tuple[tuple[str, Any], ...] = (
            (PUT, PutRequest(b"k")), ("/v3/kv/deleterange", DeleteRangeRequest(b"k0")),
            ("/v3/kv/txn", TxnRequest(success=(PutRequest(b"k"),))),
            ("/v3/kv/compaction", CompactionRequest(2)),
            ("/v3/lease/grant", LeaseGrantRequest(ttl=60)),
        )
        for member in MEMBERS:
            for route, request in refused:
                assert await members.refusal(member, route, request) == errors.corrupt().message
            assert not await members.refusal(member, "/v3/kv/range", RangeRequest(b"k0"))
        for identity, _ in await alarms(members):
            disarm = AlarmRequest(AlarmAction.DEACTIVATE, identity, AlarmType.CORRUPT)
            await members.call("n2", ALARM, disarm)
        assert await alarms(members) == []
        assert not await members.refusal("n1", PUT, PutRequest(b"k"))
        await members.sleep(10.0)
        assert len(await alarms(members)) == 1

    run_three(tmp_path, scenario, corruption_check_interval_ms=2000)


@pytest.mark.parametrize("damaged", [True, False])
def test_a_member_whose_data_differs_does_not_start(tmp_path: Path, damaged: bool) -> None:
    async def scenario(members: ThreeMembers) -> None:
        await write_some(members)
        if damaged:
            corrupt(members, "n2")
        await write_some(members)
        await members.sleep(1.0)
        await members.system.kill("n2")
        await members.system.restart("n2")
        await members.sleep(10.0)
        assert members.cluster.members["n2"].alive is not damaged
        assert not await members.refusal("n1", PUT, PutRequest(b"k"))

    run_three(tmp_path, scenario, initial_corruption_check=True)


def test_equal_members_raise_no_alarm(tmp_path: Path) -> None:
    async def scenario(members: ThreeMembers) -> None:
        for _ in range(5):
            await write_some(members)
            await members.sleep(6.0)
        assert await alarms(members) == []

    run_three(tmp_path, scenario, corruption_check_interval_ms=INTERVAL_MS)


def test_a_check_that_compares_nothing_fails_the_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corruption_check, "differs", lambda own, other: False)
    with pytest.raises(AssertionError):
        run_three(tmp_path, a_difference_is_noticed, corruption_check_interval_ms=INTERVAL_MS)
