"""Encodes requests of all services for etcd's v3 JSON gateway, and decodes the answers.

This module passes requests of the key-value service to `clients/kv_codec.py`.

Source: etcd's documentation of the gRPC gateway, `rpc.proto`, `v3lock.proto`, `v3election.proto`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeGuard, TypeVar, get_args

import msgspec

from splitbrain.harness.clients import kv_codec
from splitbrain.harness.clients.http_connection import ConnectionLost
from splitbrain.harness.clients.json_messages import (
    Error,
    MemberSizeAnswer,
    ServiceAnswer,
    SnapshotAnswer,
    SnapshotLine,
    WirePermission,
    history_header,
    history_key_value,
    to_bytes,
    to_text,
)
from splitbrain.harness.clients.snapshot_content import snapshot_result
from splitbrain.histories.auth import (
    AuthChange,
    AuthChanged,
    AuthDisable,
    AuthEnable,
    Authenticate,
    AuthenticateResult,
    AuthRequest,
    AuthStatus,
    AuthStatusResult,
    Permission,
    PermissionKind,
    RoleAdd,
    RoleDelete,
    RoleGet,
    RoleGetResult,
    RoleGrantPermission,
    RoleList,
    RoleListResult,
    RoleRevokePermission,
    UserAdd,
    UserChangePassword,
    UserDelete,
    UserGet,
    UserGetResult,
    UserGrantRole,
    UserList,
    UserListResult,
    UserRevokeRole,
)
from splitbrain.histories.client_call import Call
from splitbrain.histories.kv import Header, Request
from splitbrain.histories.lease import (
    LeaseGrant,
    LeaseGrantResult,
    LeaseKeepAlive,
    LeaseKeepAliveResult,
    LeaseKeepAlives,
    LeaseKeepAlivesResult,
    LeaseRevoke,
    LeaseRevokeResult,
    LeaseTimeToLive,
    LeaseTimeToLiveResult,
)
from splitbrain.histories.lock_and_election import (
    Campaign,
    CampaignResult,
    Leader,
    LeaderResult,
    Lock,
    LockResult,
    Observe,
    ObserveResult,
    Proclaim,
    ProclaimResult,
    Resign,
    ResignResult,
    Unlock,
    UnlockResult,
)
from splitbrain.histories.maintenance import (
    Alarm,
    AlarmDisarm,
    AlarmDisarmResult,
    AlarmList,
    AlarmListResult,
    Defragment,
    DefragmentResult,
    MemberSize,
    MemberSizeResult,
    Snapshot,
)
from splitbrain.histories.member_list import MemberList, MemberListResult
from splitbrain.histories.member_state import ListedMember
from splitbrain.histories.service_operation import (
    AnyRequest,
    AnyResult,
    ServiceRequest,
    ServiceResult,
)

PATHS: Mapping[type, str] = {
    LeaseGrant: "/v3/lease/grant",
    LeaseRevoke: "/v3/lease/revoke",
    LeaseKeepAlive: "/v3/lease/keepalive",
    LeaseKeepAlives: "/v3/lease/keepalive",
    LeaseTimeToLive: "/v3/lease/timetolive",
    Lock: "/v3/lock/lock",
    Unlock: "/v3/lock/unlock",
    Campaign: "/v3/election/campaign",
    Proclaim: "/v3/election/proclaim",
    Leader: "/v3/election/leader",
    Observe: "/v3/election/observe",
    Resign: "/v3/election/resign",
    Authenticate: "/v3/auth/authenticate",
    AuthEnable: "/v3/auth/enable",
    AuthDisable: "/v3/auth/disable",
    AuthStatus: "/v3/auth/status",
    UserAdd: "/v3/auth/user/add",
    UserDelete: "/v3/auth/user/delete",
    UserChangePassword: "/v3/auth/user/changepw",
    UserGrantRole: "/v3/auth/user/grant",
    UserRevokeRole: "/v3/auth/user/revoke",
    UserGet: "/v3/auth/user/get",
    RoleAdd: "/v3/auth/role/add",
    RoleDelete: "/v3/auth/role/delete",
    RoleGrantPermission: "/v3/auth/role/grant",
    RoleRevokePermission: "/v3/auth/role/revoke",
    RoleGet: "/v3/auth/role/get",
    UserList: "/v3/auth/user/list",
    RoleList: "/v3/auth/role/list",
    AlarmList: "/v3/maintenance/alarm",
    AlarmDisarm: "/v3/maintenance/alarm",
    Defragment: "/v3/maintenance/defragment",
    MemberSize: "/v3/maintenance/status",
    Snapshot: "/v3/maintenance/snapshot",
    MemberList: "/v3/cluster/member/list",
}


def encode_any(request: AnyRequest) -> tuple[str, bytes]:
    """Encode `request`. Returns its path at the gateway and its JSON body."""
    if is_of_kv(request):
        return kv_codec.encode_request(request)
    return PATHS[type(request)], b"\n".join(map(msgspec.json.encode, stream_forms(request)))


def decode_any(request: AnyRequest, body: bytes) -> AnyResult:
    """Decode `body`, an answer of status 200 to `request`. Raises msgspec.MsgspecError.

    Raises ConnectionLost if the answer is a stream that ended with an error.
    """
    if is_of_kv(request):
        return kv_codec.decode_result(request, body)
    if isinstance(request, MemberSize):
        return service_result(request, _size_decoder.decode(body))
    if isinstance(request, Snapshot):
        return snapshot_result([_of_line(one) for one in _snapshot_decoder.decode_lines(body)])
    service: Any = request
    if not is_streamed(request) and not isinstance(request, LeaseKeepAlive):
        return service_result(service, _decoder.decode(body))
    wires = [_of_line(wire) for wire in _decoder.decode_lines(body)]
    if is_streamed(request):
        return stream_result(service, wires)
    (wire,) = wires
    return service_result(service, wire)


def decode_line(line: bytes) -> ServiceAnswer:
    """Decode one line of an answer that is a stream.

    Raises msgspec.MsgspecError. Raises ConnectionLost if the line is the error that ends a stream.
    """
    return _of_line(_decoder.decode(line))


def decode_snapshot_line(line: bytes) -> SnapshotAnswer:
    """Decode one line of a snapshot. Raises as `decode_line` does."""
    return _of_line(_snapshot_decoder.decode(line))


Line = TypeVar("Line", ServiceAnswer, SnapshotAnswer)


class _Line(Protocol[Line]):
    """A line of a stream: a message, or the error that ends the stream."""

    result: Line | None
    error: Error | None


def _of_line(wire: _Line[Line]) -> Line:
    """Return the answer that a line of a stream contains."""
    if wire.error is not None:
        raise ConnectionLost(f"the stream failed: {wire.error.message or wire.error.error}")
    if wire.result is None:
        raise msgspec.ValidationError("a line of the answer has no `result`")
    return wire.result


def is_streamed(request: AnyRequest) -> bool:
    """Return whether `request` has a stream of answers, all of which the history records.

    This does not include watches, which `watch_codec.py` encodes.
    """
    return isinstance(request, LeaseKeepAlives | Observe | Snapshot)


def stream_forms(request: AnyRequest) -> Sequence[dict[str, Any]]:
    """Return the fields of each message that is sent for `request`.

    The form of the fields is that of `wire_form`.
    """
    if isinstance(request, LeaseKeepAlives):
        return [wire_form(LeaseKeepAlive(one)) for one in request.ids]
    service: Any = request
    return [wire_form(service)]


def is_of_kv(request: AnyRequest) -> TypeGuard[Request]:
    """Return whether `request` belongs to the key-value service.

    The function looks up the type in a table, because an `isinstance` test of a union with so many
    types takes several µs.
    """
    return type(request) in kv_codec.ROUTES


def wire_form(request: ServiceRequest) -> dict[str, Any]:
    """Return the fields of the message of `request` by name, before they are encoded.

    Bytes are bytes, 64-bit integers are strings, and enums are names.
    """
    match request:
        case LeaseGrant():
            return {"ID": str(request.id), "TTL": str(request.ttl)}
        case LeaseRevoke() | LeaseKeepAlive():
            return {"ID": str(request.id)}
        case LeaseTimeToLive():
            return {"ID": str(request.id), "keys": request.keys}
        case Lock():
            return {"name": to_bytes(request.name), "lease": str(request.lease)}
        case Unlock():
            return {"key": to_bytes(request.key)}
        case Campaign():
            return {
                "name": to_bytes(request.name), "lease": str(request.lease),
                "value": to_bytes(request.value),
            }
        case Proclaim():
            return {"leader": _leader(request), "value": to_bytes(request.value)}
        case Resign():
            return {"leader": _leader(request)}
        case Leader() | Observe():
            return {"name": to_bytes(request.name)}
        case AlarmDisarm():
            member = str(request.member)
            return {"action": "DEACTIVATE", "memberID": member, "alarm": "NOSPACE"}
        case AlarmList() | Defragment() | MemberSize() | Snapshot():
            return {}
        case MemberList():
            return {"linearizable": request.linearizable}
        case LeaseKeepAlives():
            raise ValueError("keep-alives of several leases are sent as several messages")
        case Call():
            raise ValueError("a call is sent to a client of the user, not to a gateway")
        case _:
            return _auth_form(request)


def _auth_form(request: AuthRequest) -> dict[str, Any]:
    match request:
        case Authenticate() | UserAdd() | UserChangePassword():
            return {"name": request.name, "password": request.password}
        case UserDelete() | UserGet():
            return {"name": request.name}
        case UserGrantRole():
            return {"user": request.name, "role": request.role}
        case UserRevokeRole():
            return {"name": request.name, "role": request.role}
        case RoleAdd():
            return {"name": request.role}
        case RoleDelete() | RoleGet():
            return {"role": request.role}
        case RoleGrantPermission(role=role, permission=granted):
            return {"name": role, "perm": {"permType": granted.kind, **_keys(granted)}}
        case RoleRevokePermission():
            return {"role": request.role, **_keys(request)}
        case AuthEnable() | AuthDisable() | AuthStatus() | UserList() | RoleList():
            return {}


def _keys(request: Permission | RoleRevokePermission) -> dict[str, bytes]:
    return {"key": to_bytes(request.key), "range_end": to_bytes(request.range_end)}


def _leader(request: Proclaim | Resign) -> dict[str, Any]:
    return {
        "name": to_bytes(request.name), "key": to_bytes(request.key),
        "rev": str(request.revision), "lease": str(request.lease),
    }


_decoder = msgspec.json.Decoder(ServiceAnswer, strict=False)


_snapshot_decoder = msgspec.json.Decoder(SnapshotLine, strict=False)


_size_decoder = msgspec.json.Decoder(MemberSizeAnswer, strict=False)


def answer_type(request: ServiceRequest) -> type:
    """Return the struct type that contains the fields of the answer to `request`."""
    return MemberSizeAnswer if isinstance(request, MemberSize) else ServiceAnswer


def service_result(
    request: ServiceRequest, wire: ServiceAnswer | MemberSizeAnswer
) -> ServiceResult:
    """Convert `wire`, the answer to `request`, to the result that a history records."""
    if isinstance(wire, MemberSizeAnswer):
        return MemberSizeResult(history_header(wire.header), wire.db_size, wire.db_size_in_use)
    return _RESULTS[type(request)](wire)


def stream_result(
    request: ServiceRequest, wires: Sequence[ServiceAnswer], broken: str = ""
) -> ServiceResult:
    """Convert `wires`, all answers of the stream of `request`, to the result in a history.

    `broken` is the reason why the stream ended before the client closed it.
    """
    header = _header(wires[-1]) if wires else Header()
    if isinstance(request, Observe):
        return ObserveResult(header, tuple(map(_leader_result, wires)), broken)
    assert isinstance(request, LeaseKeepAlives)
    return LeaseKeepAlivesResult(header, tuple(map(_keep_alive, wires)))


def _header(wire: ServiceAnswer) -> Header:
    return history_header(wire.header)


def _campaign(wire: ServiceAnswer) -> CampaignResult:
    leader = wire.leader
    return CampaignResult(_header(wire), to_text(leader.key), leader.rev, leader.lease)


def _keep_alive(wire: ServiceAnswer) -> LeaseKeepAliveResult:
    return LeaseKeepAliveResult(_header(wire), wire.id, wire.ttl)


def _leader_result(wire: ServiceAnswer) -> LeaderResult:
    kv = wire.kv
    return LeaderResult(_header(wire), None if kv is None else history_key_value(kv))


_KINDS: Mapping[str, PermissionKind] = {kind: kind for kind in get_args(PermissionKind)}


def _permission(wire: WirePermission) -> Permission:
    return Permission(to_text(wire.key), to_text(wire.range_end), _KINDS[wire.perm_type])


def _listed(wire: ServiceAnswer) -> tuple[ListedMember, ...]:
    return tuple(
        ListedMember(one.id, tuple(sorted(one.peer_urls)), one.is_learner) for one in wire.members
    )


_RESULTS: Mapping[type, Callable[[ServiceAnswer], ServiceResult]] = {
    LeaseGrant: lambda wire: LeaseGrantResult(_header(wire), wire.id, wire.ttl),
    LeaseRevoke: lambda wire: LeaseRevokeResult(_header(wire)),
    LeaseKeepAlive: _keep_alive,
    LeaseTimeToLive: lambda wire: LeaseTimeToLiveResult(
        header=_header(wire), id=wire.id, ttl=wire.ttl, granted_ttl=wire.granted_ttl,
        keys=tuple(map(to_text, wire.keys)),
    ),
    Lock: lambda wire: LockResult(_header(wire), to_text(wire.key)),
    Unlock: lambda wire: UnlockResult(_header(wire)),
    Campaign: _campaign,
    Proclaim: lambda wire: ProclaimResult(_header(wire)),
    Leader: _leader_result,
    Resign: lambda wire: ResignResult(_header(wire)),
    AlarmList: lambda wire: AlarmListResult(
        _header(wire), tuple(Alarm(one.member_id, one.alarm) for one in wire.alarms)
    ),
    AlarmDisarm: lambda wire: AlarmDisarmResult(_header(wire)),
    Defragment: lambda wire: DefragmentResult(_header(wire)),
    Authenticate: lambda wire: AuthenticateResult(_header(wire), wire.token),
    MemberList: lambda wire: MemberListResult(_header(wire), _listed(wire)),
    AuthStatus: lambda wire: AuthStatusResult(_header(wire), wire.enabled, wire.auth_revision),
    UserGet: lambda wire: UserGetResult(_header(wire), tuple(wire.roles)),
    RoleGet: lambda wire: RoleGetResult(_header(wire), tuple(map(_permission, wire.perm))),
    UserList: lambda wire: UserListResult(_header(wire), tuple(wire.users)),
    RoleList: lambda wire: RoleListResult(_header(wire), tuple(wire.roles)),
    **{
        kind: lambda wire: AuthChanged(_header(wire)) for kind in get_args(AuthChange)
    },
}
