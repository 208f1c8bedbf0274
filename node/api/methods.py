"""Lists the methods of the v3 API that the member implements.

A row of `METHODS` describes a method for both protocols: its name in gRPC, its path at the JSON
gateway, and the type of its requests. The handler of a method is in `v3_service.Api`. A method
without a row is answered with UNIMPLEMENTED by gRPC and with 404 by the gateway.

The codecs find the protobuf definition of a struct in `proto/` by name. For example, the struct
`LeaseGrantRequest` belongs to the message of the same name, and its field `ttl` to the field `TTL`.

Source: etcd 3.5.1, `api/etcdserverpb/rpc.proto`, `server/etcdserver/api/v3lock`, `v3election`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from splitbrain.node.messages import auth, cluster, election, health, lease, lock, rpc


class Kind(Enum):
    """Which sides of a method send a stream of messages instead of one message.

    The values are those of the metrics' label `grpc_type`.
    """

    UNARY = "unary"
    SERVER_STREAM = "server_stream"
    BIDI_STREAM = "bidi_stream"


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the v3 API: `service` and `name` in gRPC, and `route` at the JSON gateway.

    `route` is empty if the gateway does not serve the method. `old_route` is a second path that the
    gateway also serves. `request` is the type of the method's requests.
    """

    service: str
    name: str
    route: str
    request: Any
    kind: Kind = Kind.UNARY
    old_route: str = ""

    @property
    def path(self) -> str:
        """The path of the method in gRPC, such as "/etcdserverpb.KV/Put"."""
        return f"/{self.service}/{self.name}"

    @property
    def key(self) -> str:
        """The name by which the handlers of the method are stored in `v3_service.Api`."""
        return self.route or self.path


_KV = "etcdserverpb.KV"
_WATCH = "etcdserverpb.Watch"
_LEASE = "etcdserverpb.Lease"
_LOCK = "v3lockpb.Lock"
_ELECTION = "v3electionpb.Election"
_MAINTENANCE = "etcdserverpb.Maintenance"
_CLUSTER = "etcdserverpb.Cluster"
_AUTH = "etcdserverpb.Auth"
_HEALTH = "grpc.health.v1.Health"

METHODS: tuple[Method, ...] = (
    Method(_HEALTH, "Check", "", health.HealthCheckRequest),
    Method(_HEALTH, "Watch", "", health.HealthCheckRequest, kind=Kind.SERVER_STREAM),
    Method(_KV, "Put", "/v3/kv/put", rpc.PutRequest),
    Method(_KV, "Range", "/v3/kv/range", rpc.RangeRequest),
    Method(_KV, "DeleteRange", "/v3/kv/deleterange", rpc.DeleteRangeRequest),
    Method(_KV, "Txn", "/v3/kv/txn", rpc.TxnRequest),
    Method(_KV, "Compact", "/v3/kv/compaction", rpc.CompactionRequest),
    Method(_WATCH, "Watch", "/v3/watch", rpc.WatchRequest, kind=Kind.BIDI_STREAM),
    Method(_LEASE, "LeaseGrant", "/v3/lease/grant", lease.LeaseGrantRequest),
    Method(
        _LEASE, "LeaseRevoke", "/v3/lease/revoke", lease.LeaseRevokeRequest,
        old_route="/v3/kv/lease/revoke",
    ),
    Method(
        _LEASE, "LeaseKeepAlive", "/v3/lease/keepalive", lease.LeaseKeepAliveRequest,
        kind=Kind.BIDI_STREAM,
    ),
    Method(
        _LEASE, "LeaseTimeToLive", "/v3/lease/timetolive", lease.LeaseTimeToLiveRequest,
        old_route="/v3/kv/lease/timetolive",
    ),
    Method(
        _LEASE, "LeaseLeases", "/v3/lease/leases", lease.LeaseLeasesRequest,
        old_route="/v3/kv/lease/leases",
    ),
    Method(_LOCK, "Lock", "/v3/lock/lock", lock.LockRequest),
    Method(_LOCK, "Unlock", "/v3/lock/unlock", lock.UnlockRequest),
    Method(_ELECTION, "Campaign", "/v3/election/campaign", election.CampaignRequest),
    Method(_ELECTION, "Proclaim", "/v3/election/proclaim", election.ProclaimRequest),
    Method(_ELECTION, "Leader", "/v3/election/leader", election.LeaderRequest),
    Method(
        _ELECTION, "Observe", "/v3/election/observe", election.LeaderRequest,
        kind=Kind.SERVER_STREAM,
    ),
    Method(_ELECTION, "Resign", "/v3/election/resign", election.ResignRequest),
    Method(_MAINTENANCE, "Status", "/v3/maintenance/status", rpc.StatusRequest),
    Method(_MAINTENANCE, "Hash", "/v3/maintenance/hash", rpc.HashRequest),
    Method(_MAINTENANCE, "HashKV", "/v3/maintenance/hashkv", rpc.HashKVRequest),
    Method(_MAINTENANCE, "Alarm", "/v3/maintenance/alarm", rpc.AlarmRequest),
    Method(_MAINTENANCE, "Defragment", "/v3/maintenance/defragment", rpc.DefragmentRequest),
    Method(
        _MAINTENANCE, "Snapshot", "/v3/maintenance/snapshot", rpc.SnapshotRequest,
        kind=Kind.SERVER_STREAM,
    ),
    Method(_MAINTENANCE, "Downgrade", "/v3/maintenance/downgrade", rpc.DowngradeRequest),
    Method(
        _MAINTENANCE, "MoveLeader", "/v3/maintenance/transfer-leadership",
        cluster.MoveLeaderRequest,
    ),
    Method(_CLUSTER, "MemberAdd", "/v3/cluster/member/add", cluster.MemberAddRequest),
    Method(_CLUSTER, "MemberRemove", "/v3/cluster/member/remove", cluster.MemberRemoveRequest),
    Method(_CLUSTER, "MemberUpdate", "/v3/cluster/member/update", cluster.MemberUpdateRequest),
    Method(_CLUSTER, "MemberPromote", "/v3/cluster/member/promote", cluster.MemberPromoteRequest),
    Method(_AUTH, "AuthEnable", "/v3/auth/enable", auth.AuthEnableRequest),
    Method(_AUTH, "AuthDisable", "/v3/auth/disable", auth.AuthDisableRequest),
    Method(_AUTH, "AuthStatus", "/v3/auth/status", auth.AuthStatusRequest),
    Method(_AUTH, "Authenticate", "/v3/auth/authenticate", auth.AuthenticateRequest),
    Method(_AUTH, "UserAdd", "/v3/auth/user/add", auth.AuthUserAddRequest),
    Method(_AUTH, "UserGet", "/v3/auth/user/get", auth.AuthUserGetRequest),
    Method(_AUTH, "UserList", "/v3/auth/user/list", auth.AuthUserListRequest),
    Method(_AUTH, "UserDelete", "/v3/auth/user/delete", auth.AuthUserDeleteRequest),
    Method(
        _AUTH, "UserChangePassword", "/v3/auth/user/changepw", auth.AuthUserChangePasswordRequest
    ),
    Method(_AUTH, "UserGrantRole", "/v3/auth/user/grant", auth.AuthUserGrantRoleRequest),
    Method(_AUTH, "UserRevokeRole", "/v3/auth/user/revoke", auth.AuthUserRevokeRoleRequest),
    Method(_AUTH, "RoleAdd", "/v3/auth/role/add", auth.AuthRoleAddRequest),
    Method(_AUTH, "RoleGet", "/v3/auth/role/get", auth.AuthRoleGetRequest),
    Method(_AUTH, "RoleList", "/v3/auth/role/list", auth.AuthRoleListRequest),
    Method(_AUTH, "RoleDelete", "/v3/auth/role/delete", auth.AuthRoleDeleteRequest),
    Method(
        _AUTH, "RoleGrantPermission", "/v3/auth/role/grant", auth.AuthRoleGrantPermissionRequest
    ),
    Method(
        _AUTH, "RoleRevokePermission", "/v3/auth/role/revoke", auth.AuthRoleRevokePermissionRequest
    ),
    Method(_CLUSTER, "MemberList", "/v3/cluster/member/list", rpc.MemberListRequest),
)

BY_KEY: dict[str, Method] = {method.key: method for method in METHODS}
