"""The messages of etcd's v3 JSON gateway, as a client reads and writes them.

The gateway writes bytes as base64 and 64-bit integers as strings, and leaves out fields
that are zero. The JSON names of fields are those of the protobuf files. The structs use the
same names in snake case. Decode with `strict=False`, so that msgspec accepts the integers in
quotes.

Source: etcd's documentation of the gRPC gateway; `rpc.proto`, `kv.proto`, `v3lock.proto`,
`v3election.proto`.
"""

from __future__ import annotations

import msgspec

from splitbrain.histories import kv
from splitbrain.histories.member_state import Change

STATUS_PATH = "/v3/maintenance/status"
HASH_KV_PATH = "/v3/maintenance/hashkv"
PEER_HASH_KV_PATH = "/members/hashkv"
"""The path of HashKV at the peer URL, for releases whose gateway does not serve HashKV."""


def to_bytes(text: str) -> bytes:
    """Return `text`, a key or value of a history, as the bytes that a store keeps."""
    return text.encode("utf-8")


def to_text(data: bytes) -> str:
    """Return `data`, a key or value of a store, as the text that a history records.

    The harness writes only text, so bytes that are not UTF-8 come from a store that corrupts
    values. Each such byte becomes text such as `\\xff`.
    """
    return data.decode("utf-8", "backslashreplace")


# --- parts of messages ------------------------------------------------------------


class Header(msgspec.Struct):
    cluster_id: int = 0
    member_id: int = 0
    revision: int = 0
    raft_term: int = 0


class KeyValue(msgspec.Struct):
    key: bytes = b""
    value: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int = 0


class Event(msgspec.Struct):
    type: str = "PUT"
    kv: KeyValue = msgspec.field(default_factory=KeyValue)
    prev_kv: KeyValue | None = None


class Error(msgspec.Struct):
    """An error of the gateway.

    It is the body of an answer whose status is not 200. In a stream, it is the field `error` of the
    last line.

    etcd 3.5 sends `error` and `message`, etcd 3.4 only `error`.
    """

    message: str = ""
    error: str = ""


# --- answers of the key-value service ---------------------------------------------


class PutAnswer(msgspec.Struct):
    header: Header = msgspec.field(default_factory=Header)
    prev_kv: KeyValue | None = None


class RangeAnswer(msgspec.Struct):
    header: Header = msgspec.field(default_factory=Header)
    kvs: list[KeyValue] = []
    count: int = 0
    more: bool = False


class DeleteAnswer(msgspec.Struct):
    header: Header = msgspec.field(default_factory=Header)
    deleted: int = 0
    prev_kvs: list[KeyValue] = []


class BranchAnswer(msgspec.Struct):
    """The answer to one operation of a transaction. Exactly one of the four fields is set."""

    response_put: PutAnswer | None = None
    response_range: RangeAnswer | None = None
    response_delete_range: DeleteAnswer | None = None
    response_txn: TxnAnswer | None = None


class TxnAnswer(msgspec.Struct):
    header: Header = msgspec.field(default_factory=Header)
    succeeded: bool = False
    responses: list[BranchAnswer] = []


class CompactAnswer(msgspec.Struct):
    header: Header = msgspec.field(default_factory=Header)


# --- answers of the lease, lock, election and auth services -----------------------


class LeaderKey(msgspec.Struct):
    key: bytes = b""
    rev: int = 0
    lease: int = 0


class WirePermission(msgspec.Struct):
    perm_type: str = msgspec.field(default="READ", name="permType")
    key: bytes = b""
    range_end: bytes = b""


class WireAlarm(msgspec.Struct):
    member_id: int = msgspec.field(default=0, name="memberID")
    alarm: str = "NONE"


class WireMember(msgspec.Struct, rename="camel"):
    id: int = msgspec.field(default=0, name="ID")
    peer_urls: list[str] = msgspec.field(default_factory=list, name="peerURLs")
    is_learner: bool = False


class ServiceAnswer(msgspec.Struct):
    """An answer of a service other than the key-value service.

    Each kind sets some of the fields.
    """

    header: Header = msgspec.field(default_factory=Header)
    id: int = msgspec.field(default=0, name="ID")
    ttl: int = msgspec.field(default=0, name="TTL")
    granted_ttl: int = msgspec.field(default=0, name="grantedTTL")
    keys: list[bytes] = []
    key: bytes = b""
    leader: LeaderKey = msgspec.field(default_factory=LeaderKey)
    kv: KeyValue | None = None
    token: str = ""
    enabled: bool = False
    auth_revision: int = msgspec.field(default=0, name="authRevision")
    roles: list[str] = []
    users: list[str] = []
    perm: list[WirePermission] = []
    alarms: list[WireAlarm] = []
    members: list[WireMember] = []
    result: ServiceAnswer | None = None
    """An answer of a stream, which is one line."""
    error: Error | None = None
    """The error that ends a stream. It is the last line."""


class SnapshotAnswer(msgspec.Struct):
    """One message of a snapshot."""

    remaining_bytes: int = 0
    blob: bytes = b""


class SnapshotLine(msgspec.Struct):
    result: SnapshotAnswer | None = None
    error: Error | None = None


class MemberSizeAnswer(msgspec.Struct, rename="camel"):
    """The part of a member's status that a history records: the sizes of its backend."""

    header: Header = msgspec.field(default_factory=Header)
    db_size: int = 0
    db_size_in_use: int = 0


# --- lines of a watch -------------------------------------------------------------


class WatchResult(msgspec.Struct):
    header: Header = msgspec.field(default_factory=Header)
    watch_id: int = 0
    created: bool = False
    canceled: bool = False
    compact_revision: int = 0
    cancel_reason: str = ""
    fragment: bool = False
    events: list[Event] = []


class WatchLine(msgspec.Struct):
    result: WatchResult | None = None
    error: Error | None = None


# --- answers of the maintenance service -------------------------------------------


class Status(msgspec.Struct, rename="camel"):
    header: Header = msgspec.field(default_factory=Header)
    version: str = ""
    leader: int = 0
    raft_index: int = 0
    raft_term: int = 0
    raft_applied_index: int = 0


class HashKV(msgspec.Struct):
    header: Header = msgspec.field(default_factory=Header)
    hash: int = 0
    compact_revision: int = 0


# --- as a history records them ----------------------------------------------------


def history_header(wire: Header) -> kv.Header:
    return kv.Header(wire.revision, wire.member_id, wire.cluster_id, wire.raft_term)


def history_key_value(wire: KeyValue) -> kv.KeyValue:
    return kv.KeyValue(
        to_text(wire.key), to_text(wire.value), wire.create_revision, wire.mod_revision,
        wire.version, wire.lease,
    )


def history_change(event: Event) -> Change:
    wire = event.kv
    return Change(
        revision=wire.mod_revision,
        kind="delete" if event.type == "DELETE" else "put",
        key=to_text(wire.key),
        value=to_text(wire.value),
        create_revision=wire.create_revision,
        version=wire.version,
        lease=wire.lease,
    )
