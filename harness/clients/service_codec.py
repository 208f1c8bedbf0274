"""Leases, locks and elections over etcd's v3 JSON gateway: requests to bodies, answers to
results; what is of the key-value service goes on to `splitbrain.harness.clients.json_codec`.

Source: etcd's documentation of the gRPC gateway, `rpc.proto`, `v3lock.proto`,
`v3election.proto`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from splitbrain.harness.clients import json_codec as gateway_codec
from splitbrain.harness.clients.json_codec import to_bytes, to_text
from splitbrain.histories.kv import Header, KeyValue
from splitbrain.histories.lease import (
    LeaseGrant,
    LeaseGrantResult,
    LeaseKeepAlive,
    LeaseKeepAliveResult,
    LeaseRevoke,
    LeaseRevokeResult,
    LeaseTimeToLive,
    LeaseTimeToLiveResult,
)
from splitbrain.histories.lock import (
    Campaign,
    CampaignResult,
    Leader,
    LeaderResult,
    Lock,
    LockResult,
    Proclaim,
    ProclaimResult,
    Resign,
    ResignResult,
    Unlock,
    UnlockResult,
)
from splitbrain.histories.service import AnyRequest, AnyResult, ServiceRequest, ServiceResult

PATHS: Mapping[type, str] = {
    LeaseGrant: "/v3/lease/grant",
    LeaseRevoke: "/v3/lease/revoke",
    LeaseKeepAlive: "/v3/lease/keepalive",
    LeaseTimeToLive: "/v3/lease/timetolive",
    Lock: "/v3/lock/lock",
    Unlock: "/v3/lock/unlock",
    Campaign: "/v3/election/campaign",
    Proclaim: "/v3/election/proclaim",
    Leader: "/v3/election/leader",
    Resign: "/v3/election/resign",
}


def encode_any(request: AnyRequest) -> tuple[str, bytes]:
    """The gateway's path for `request`, and its JSON body."""
    if isinstance(request, ServiceRequest):
        return PATHS[type(request)], msgspec.json.encode(_wire(request))
    return gateway_codec.encode_request(request)


def decode_any(request: AnyRequest, body: bytes) -> AnyResult:
    """The result that an answer of status 200 to `request` holds. Raises MsgspecError."""
    if isinstance(request, ServiceRequest):
        wire = _decoder.decode(body)
        if isinstance(request, LeaseKeepAlive):
            # A stream of answers, of which one request gets one.
            if wire.result is None:
                raise msgspec.ValidationError("a keep-alive's answer without a result")
            wire = wire.result
        return _RESULTS[type(request)](wire)
    return gateway_codec.decode_result(request, body)


def _wire(request: ServiceRequest) -> dict[str, Any]:
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
        case Leader():
            return {"name": to_bytes(request.name)}


def _leader(request: Proclaim | Resign) -> dict[str, Any]:
    return {
        "name": to_bytes(request.name), "key": to_bytes(request.key),
        "rev": str(request.revision), "lease": str(request.lease),
    }


class _Header(msgspec.Struct):
    cluster_id: int = 0
    member_id: int = 0
    revision: int = 0
    raft_term: int = 0


class _KeyValue(msgspec.Struct):
    key: bytes = b""
    value: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int = 0


class _LeaderKey(msgspec.Struct):
    key: bytes = b""
    rev: int = 0
    lease: int = 0


class _Answer(msgspec.Struct):
    """The fields of all the answers; each has some of them."""

    header: _Header = msgspec.field(default_factory=_Header)
    id: int = msgspec.field(default=0, name="ID")
    ttl: int = msgspec.field(default=0, name="TTL")
    granted_ttl: int = msgspec.field(default=0, name="grantedTTL")
    keys: list[bytes] = []
    key: bytes = b""
    leader: _LeaderKey = msgspec.field(default_factory=_LeaderKey)
    kv: _KeyValue | None = None
    result: _Answer | None = None


_decoder = msgspec.json.Decoder(_Answer, strict=False)


def _header(wire: _Answer) -> Header:
    one = wire.header
    return Header(one.revision, one.member_id, one.cluster_id, one.raft_term)


def _campaign(wire: _Answer) -> CampaignResult:
    leader = wire.leader
    return CampaignResult(_header(wire), to_text(leader.key), leader.rev, leader.lease)


def _leader_result(wire: _Answer) -> LeaderResult:
    kv = wire.kv
    return LeaderResult(_header(wire), None if kv is None else KeyValue(
        to_text(kv.key), to_text(kv.value), kv.create_revision, kv.mod_revision, kv.version,
        kv.lease,
    ))


_RESULTS: Mapping[type, Callable[[_Answer], ServiceResult]] = {
    LeaseGrant: lambda wire: LeaseGrantResult(_header(wire), wire.id, wire.ttl),
    LeaseRevoke: lambda wire: LeaseRevokeResult(_header(wire)),
    LeaseKeepAlive: lambda wire: LeaseKeepAliveResult(_header(wire), wire.id, wire.ttl),
    LeaseTimeToLive: lambda wire: LeaseTimeToLiveResult(
        _header(wire), wire.id, wire.ttl, wire.granted_ttl, tuple(map(to_text, wire.keys))
    ),
    Lock: lambda wire: LockResult(_header(wire), to_text(wire.key)),
    Unlock: lambda wire: UnlockResult(_header(wire)),
    Campaign: _campaign,
    Proclaim: lambda wire: ProclaimResult(_header(wire)),
    Leader: _leader_result,
    Resign: lambda wire: ResignResult(_header(wire)),
}
