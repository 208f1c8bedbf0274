"""The handlers of the v3 API decide what is read, what is proposed and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from splitbrain.node.api.v3_service import Api
from splitbrain.node.messages import auth, cluster, election, errors, health, lease, lock, rpc
from splitbrain.node.messages.errors import RpcError
from tests.unit.api.lone_member import LoneMember


def refusal(call: Awaitable[object]) -> RpcError:
    async def run() -> None:
        await call

    with pytest.raises(RpcError) as refused:
        asyncio.run(run())
    return refused.value


def test_a_read_is_linearizable_unless_it_is_marked_serializable() -> None:
    member = LoneMember()
    api = Api(member)
    one = rpc.RangeRequest(key=b"a")
    serializable = rpc.RangeRequest(key=b"a", serializable=True)
    for request, reads in ((one, 1), (serializable, 1)):
        asyncio.run(api.range(request))
        assert member.linearizable_reads == reads
    for request, reads in ((one, 2), (serializable, 2)):
        asyncio.run(api.txn(rpc.TxnRequest(success=(request,))))
        assert member.linearizable_reads == reads
    assert member.proposals == []


def test_the_format_of_a_version_is_checked_before_the_leader_is_asked() -> None:
    member = LoneMember()
    handle = Api(member).methods["/v3/maintenance/downgrade"]
    refused = refusal(handle(rpc.DowngradeRequest(version="x")))
    assert refused.message == errors.wrong_downgrade_version_format().message
    assert member.linearizable_reads == 0
    refused = refusal(handle(rpc.DowngradeRequest(version="3.3.0")))
    assert refused.message == errors.invalid_downgrade_version().message
    assert member.linearizable_reads == 1


def test_a_transaction_with_a_write_in_either_branch_is_proposed() -> None:
    member = LoneMember()
    txn = rpc.TxnRequest(success=(rpc.RangeRequest(key=b"a"),), failure=(rpc.PutRequest(key=b"a"),))
    response = asyncio.run(Api(member).txn(txn))
    assert response.succeeded
    assert response.header == rpc.ResponseHeader(11, 12, 1, 2)
    assert member.proposals == [txn]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (rpc.PutRequest(), errors.empty_key()),
        (rpc.PutRequest(key=b"a", value=b"1", ignore_value=True), errors.value_provided()),
        (rpc.PutRequest(key=b"a", lease=1, ignore_lease=True), errors.lease_provided()),
        (rpc.PutRequest(key=b"a", lease=1), errors.lease_not_found()),
        (rpc.PutRequest(key=b"a", value=b"x" * 1_572_864), errors.request_too_large()),
        (
            rpc.PutRequest(key=b"a", value=b"x" * 2_500_000),
            errors.message_too_large(2_500_008, 2_097_152),
        ),
    ],
)
def test_a_bad_put_is_refused_with_etcds_error(request_: rpc.PutRequest, error: RpcError) -> None:
    assert refusal(Api(LoneMember()).put(request_)) == error


def put(key: bytes) -> rpc.PutRequest:
    return rpc.PutRequest(key=key)


def delete(key: bytes, end: bytes = b"") -> rpc.DeleteRangeRequest:
    return rpc.DeleteRangeRequest(key=key, range_end=end)


def nested(
    success: tuple[rpc.RequestOp, ...], failure: tuple[rpc.RequestOp, ...] = ()
) -> rpc.TxnRequest:
    return rpc.TxnRequest(success=success, failure=failure)


@pytest.mark.parametrize(
    ("operations", "allowed"),
    [
        ((put(b"a"), put(b"b")), True),
        ((put(b"a"), put(b"a")), False),
        ((put(b"b"), delete(b"a", b"c")), False),
        ((put(b"c"), delete(b"a", b"c")), True),
        ((put(b"b"), delete(b"c", b"a")), True),
        ((put(b"b"), delete(b"a", b"\0")), True),
        ((nested((put(b"a"),), (put(b"a"),)),), True),
        ((put(b"a"), nested((put(b"a"),))), False),
        ((nested((put(b"a"),)), nested((), (put(b"a"),))), False),
        ((nested((delete(b"a"),)), nested((put(b"a"),))), False),
        ((nested((put(b"a"),)), nested((delete(b"a"),))), True),
    ],
)
def test_a_transaction_must_not_put_a_key_twice_or_put_and_delete_it(
    operations: tuple[rpc.RequestOp, ...], allowed: bool
) -> None:
    call = Api(LoneMember()).txn(rpc.TxnRequest(success=operations))
    if allowed:
        asyncio.run(call)
    else:
        assert refusal(call) == errors.duplicate_key()


def test_an_unknown_sort_target_is_refused_if_the_range_is_sorted() -> None:
    api = Api(LoneMember())
    request = rpc.RangeRequest(key=b"a", sort_target=9)
    assert refusal(api.range(request)) == errors.invalid_sort_option()
    asyncio.run(api.range(rpc.RangeRequest(key=b"a", sort_target=9, sort_order=7)))


def test_every_method_has_a_handler_that_takes_a_decoded_request() -> None:
    api = Api(LoneMember())
    empty = {
        "/grpc.health.v1.Health/Check": health.HealthCheckRequest(),
        "/v3/kv/put": rpc.PutRequest(key=b"a"),
        "/v3/kv/range": rpc.RangeRequest(key=b"a"),
        "/v3/kv/deleterange": rpc.DeleteRangeRequest(key=b"a"),
        "/v3/kv/txn": rpc.TxnRequest(),
        "/v3/kv/compaction": rpc.CompactionRequest(),
        "/v3/lease/grant": lease.LeaseGrantRequest(id=1),
        "/v3/lease/revoke": lease.LeaseRevokeRequest(id=1),
        "/v3/lease/timetolive": lease.LeaseTimeToLiveRequest(),
        "/v3/lease/leases": lease.LeaseLeasesRequest(),
        "/v3/lock/lock": lock.LockRequest(b"l", 2),
        "/v3/lock/unlock": lock.UnlockRequest(b"l/2"),
        "/v3/election/campaign": election.CampaignRequest(b"e", 2),
        "/v3/election/proclaim": election.ProclaimRequest(election.LeaderKey(b"e", b"e/2", 6, 2)),
        "/v3/election/leader": election.LeaderRequest(b"e"),
        "/v3/election/resign": election.ResignRequest(election.LeaderKey(b"e", b"e/2", 6, 2)),
        "/v3/maintenance/status": rpc.StatusRequest(),
        "/v3/maintenance/hash": rpc.HashRequest(),
        "/v3/maintenance/hashkv": rpc.HashKVRequest(),
        "/v3/maintenance/alarm": rpc.AlarmRequest(),
        "/v3/maintenance/defragment": rpc.DefragmentRequest(),
        "/v3/maintenance/downgrade": rpc.DowngradeRequest(version="3.4.0"),
        "/v3/maintenance/transfer-leadership": cluster.MoveLeaderRequest(),
        "/v3/auth/enable": auth.AuthEnableRequest(),
        "/v3/auth/disable": auth.AuthDisableRequest(),
        "/v3/auth/status": auth.AuthStatusRequest(),
        "/v3/auth/authenticate": auth.AuthenticateRequest("root", "r"),
        "/v3/auth/user/add": auth.AuthUserAddRequest("u1", "p1"),
        "/v3/auth/user/get": auth.AuthUserGetRequest("root"),
        "/v3/auth/user/list": auth.AuthUserListRequest(),
        "/v3/auth/user/delete": auth.AuthUserDeleteRequest("u1"),
        "/v3/auth/user/changepw": auth.AuthUserChangePasswordRequest("root", "r"),
        "/v3/auth/user/grant": auth.AuthUserGrantRoleRequest("root", "r1"),
        "/v3/auth/user/revoke": auth.AuthUserRevokeRoleRequest("root", "r1"),
        "/v3/auth/role/add": auth.AuthRoleAddRequest("r2"),
        "/v3/auth/role/get": auth.AuthRoleGetRequest("r1"),
        "/v3/auth/role/list": auth.AuthRoleListRequest(),
        "/v3/auth/role/delete": auth.AuthRoleDeleteRequest("r2"),
        "/v3/auth/role/grant": auth.AuthRoleGrantPermissionRequest("r1", auth.Permission(key=b"a")),
        "/v3/auth/role/revoke": auth.AuthRoleRevokePermissionRequest("r1", b"a"),
        "/v3/cluster/member/list": rpc.MemberListRequest(),
        "/v3/cluster/member/add": cluster.MemberAddRequest(),
        "/v3/cluster/member/remove": cluster.MemberRemoveRequest(),
        "/v3/cluster/member/update": cluster.MemberUpdateRequest(),
        "/v3/cluster/member/promote": cluster.MemberPromoteRequest(),
    }
    assert api.methods.keys() == empty.keys()
    asyncio.run(api.methods["/v3/lease/grant"](lease.LeaseGrantRequest(id=2)))  # type: ignore[arg-type]
    for path, prepared in (
        ("user/add", auth.AuthUserAddRequest("root", "r")),
        ("role/add", auth.AuthRoleAddRequest("r1")),
    ):
        asyncio.run(api.methods[f"/v3/auth/{path}"](prepared))  # type: ignore[arg-type]
    for method, request in empty.items():
        if method in ("/v3/auth/enable", "/v3/auth/authenticate"):
            continue  # afterwards the other requests would need a token
        response: Any = asyncio.run(api.methods[method](request))  # type: ignore[arg-type]
        # As in etcd, these responses have no header.
        bare = method in (
            "/v3/maintenance/defragment", "/v3/maintenance/transfer-leadership",
            "/grpc.health.v1.Health/Check",
        )
        assert bare or response.header.member_id == 12
