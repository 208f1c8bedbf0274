"""Defines the requests and responses of the services KV, Watch, Maintenance and Cluster as values.

Bytes are `bytes`, and 64-bit integers are `int`. `splitbrain.node.api.json_codec` defines their
form in JSON (base64, strings, omitted defaults). Names, defaults and the order of the fields are
those of etcd's `rpc.proto` and `kv.proto`.

Enums are open, as in proto3: a field can contain any 32-bit number, and the `IntEnum`s name the
defined values.

Source: etcd 3.5.1, `api/etcdserverpb/rpc.proto`, `api/mvccpb/kv.proto`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta, Struct

from splitbrain.node.mvcc.key_value import Event, KeyValue

Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
EnumNumber = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]


class SortOrder(IntEnum):
    NONE = 0
    ASCEND = 1
    DESCEND = 2


class SortTarget(IntEnum):
    KEY = 0
    VERSION = 1
    CREATE = 2
    MOD = 3
    VALUE = 4


class CompareResult(IntEnum):
    EQUAL = 0
    GREATER = 1
    LESS = 2
    NOT_EQUAL = 3


class CompareTarget(IntEnum):
    VERSION = 0
    CREATE = 1
    MOD = 2
    VALUE = 3
    LEASE = 4


class FilterType(IntEnum):
    NOPUT = 0
    NODELETE = 1


class AlarmAction(IntEnum):
    GET = 0
    ACTIVATE = 1
    DEACTIVATE = 2


class AlarmType(IntEnum):
    NONE = 0
    NOSPACE = 1
    CORRUPT = 2


# --- requests of the KV service ------------------------------------------------
#
# Raft replicates these structs (`internal_request.py`), so each has a tag. A member must not
# drop an unknown field silently: members that apply different requests would diverge.


class PutRequest(
    Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="op", tag="put"
):
    key: bytes = b""
    value: bytes = b""
    lease: Int64 = 0
    prev_kv: bool = False
    ignore_value: bool = False
    ignore_lease: bool = False


class RangeRequest(
    Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="op", tag="range"
):
    """Reads one key or an interval of keys.

    Without `range_end`, only `key` is read. With the `range_end` "\\0", all keys from `key` on are
    read. With any other `range_end`, the interval `[key, range_end)` is read.
    """

    key: bytes = b""
    range_end: bytes = b""
    limit: Int64 = 0
    revision: Int64 = 0
    sort_order: EnumNumber = 0
    sort_target: EnumNumber = 0
    serializable: bool = False
    keys_only: bool = False
    count_only: bool = False
    min_mod_revision: Int64 = 0
    max_mod_revision: Int64 = 0
    min_create_revision: Int64 = 0
    max_create_revision: Int64 = 0


class DeleteRangeRequest(
    Struct,
    frozen=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="op",
    tag="delete",
):
    key: bytes = b""
    range_end: bytes = b""
    prev_kv: bool = False


class Compare(Struct, frozen=True, omit_defaults=True):
    """Compares the `target` of `key`, such as its version, with `operand` by the relation `result`.

    With `range_end`, each key of the interval [`key`, `range_end`) is compared. The operand is a
    value for the target VALUE, and a number for every other target.

    The protobuf message can contain an operand that belongs to another target. etcd then compares
    with zero or the empty value. `compare_operand` does the same when a request is decoded.
    """

    key: bytes = b""
    result: EnumNumber = 0
    target: EnumNumber = 0
    operand: int | bytes = 0
    range_end: bytes = b""


class TxnRequest(
    Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="op", tag="txn"
):
    """Executes the operations `success` if every comparison succeeds, and otherwise `failure`.

    The operations are executed atomically and get one revision. An operation is None if the request
    contains an empty operation. Such a request is refused before it is proposed.
    """

    compare: tuple[Compare, ...] = ()
    success: tuple[RequestOp | None, ...] = ()
    failure: tuple[RequestOp | None, ...] = ()


RequestOp = PutRequest | RangeRequest | DeleteRangeRequest | TxnRequest


class CompactionRequest(
    Struct,
    frozen=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="op",
    tag="compact",
):
    revision: Int64 = 0
    physical: bool = False


WriteRequest = PutRequest | DeleteRangeRequest | TxnRequest | CompactionRequest


def compare_operand(target: int, union: dict[str, int | bytes]) -> int | bytes:
    """Return the operand that a comparison of `target` uses.

    `union` contains the field that the request has set in the oneof `target_union`, by name.
    """
    if target == CompareTarget.VALUE:
        return union.get("value", b"")
    field = COMPARE_UNION_FIELD.get(target)
    return 0 if field is None else union.get(field, 0)


COMPARE_UNION_FIELD: dict[int, str] = {
    CompareTarget.VERSION: "version",
    CompareTarget.CREATE: "create_revision",
    CompareTarget.MOD: "mod_revision",
    CompareTarget.LEASE: "lease",
}


# --- responses of the KV service -----------------------------------------------


class ResponseHeader(Struct, frozen=True, omit_defaults=True):
    cluster_id: int = 0
    member_id: int = 0
    revision: int = 0
    raft_term: int = 0


class PutResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    prev_kv: KeyValue | None = None


class RangeResponse(Struct, frozen=True, omit_defaults=True):
    """The response to a range.

    `count` is the number of all keys in the range, including those that the limit or a filter has
    left out of the response.
    """

    header: ResponseHeader = ResponseHeader()
    kvs: tuple[KeyValue, ...] = ()
    more: bool = False
    count: int = 0


class DeleteRangeResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    deleted: int = 0
    prev_kvs: tuple[KeyValue, ...] = ()


class TxnResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    succeeded: bool = False
    responses: tuple[ResponseOp, ...] = ()


ResponseOp = PutResponse | RangeResponse | DeleteRangeResponse | TxnResponse


class CompactionResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()


WriteResponse = PutResponse | DeleteRangeResponse | TxnResponse | CompactionResponse


# --- Watch ---------------------------------------------------------------------


class WatchCreateRequest(Struct, frozen=True, omit_defaults=True):
    key: bytes = b""
    range_end: bytes = b""
    start_revision: int = 0
    progress_notify: bool = False
    filters: tuple[int, ...] = ()
    prev_kv: bool = False
    watch_id: int = 0
    fragment: bool = False


class WatchCancelRequest(Struct, frozen=True, omit_defaults=True):
    watch_id: int = 0


class WatchProgressRequest(Struct, frozen=True, omit_defaults=True):
    pass


WatchRequest = WatchCreateRequest | WatchCancelRequest | WatchProgressRequest


class WatchResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    watch_id: int = 0
    created: bool = False
    canceled: bool = False
    compact_revision: int = 0
    cancel_reason: str = ""
    fragment: bool = False
    events: tuple[Event, ...] = ()


# --- Maintenance and Cluster ---------------------------------------------------


class StatusRequest(Struct, frozen=True):
    pass


class StatusResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    version: str = ""
    db_size: int = 0
    leader: int = 0
    raft_index: int = 0
    raft_term: int = 0
    raft_applied_index: int = 0
    errors: tuple[str, ...] = ()
    db_size_in_use: int = 0
    is_learner: bool = False


class HashRequest(Struct, frozen=True):
    pass


class HashResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    hash: int = 0


class HashKVRequest(Struct, frozen=True, omit_defaults=True):
    revision: int = 0


class HashKVResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    hash: int = 0
    compact_revision: int = 0


class AlarmRequest(
    Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="op", tag="alarm"
):
    """Lists, raises or clears alarms. Like the requests of KV, this request is replicated."""

    action: EnumNumber = 0
    member_id: int = 0
    alarm: EnumNumber = 0


class AlarmMember(Struct, frozen=True, omit_defaults=True):
    """An alarm, and the member that has raised it."""

    member_id: int = 0
    alarm: int = 0


class AlarmResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    alarms: tuple[AlarmMember, ...] = ()


class DowngradeAction(IntEnum):
    VALIDATE = 0
    ENABLE = 1
    CANCEL = 2


class DefragmentRequest(Struct, frozen=True):
    pass


class DefragmentResponse(Struct, frozen=True):
    """A response without a header, as etcd sends it."""


class SnapshotRequest(Struct, frozen=True):
    pass


class SnapshotResponse(Struct, frozen=True, omit_defaults=True):
    """A piece of a snapshot. `remaining_bytes` counts the bytes that follow, without the hash."""

    remaining_bytes: int = 0
    blob: bytes = b""


class DowngradeRequest(Struct, frozen=True, omit_defaults=True):
    action: int = 0
    version: str = ""


class DowngradeResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    version: str = ""


class MemberListRequest(Struct, frozen=True, omit_defaults=True):
    linearizable: bool = False


class Member(Struct, frozen=True, omit_defaults=True):
    id: int = 0
    name: str = ""
    peer_urls: tuple[str, ...] = ()
    client_urls: tuple[str, ...] = ()
    is_learner: bool = False


class MemberListResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    members: tuple[Member, ...] = ()


Request = (
    PutRequest
    | RangeRequest
    | DeleteRangeRequest
    | TxnRequest
    | CompactionRequest
    | WatchRequest
    | StatusRequest
    | HashRequest
    | HashKVRequest
    | AlarmRequest
    | MemberListRequest
)

Response = (
    PutResponse
    | RangeResponse
    | DeleteRangeResponse
    | TxnResponse
    | CompactionResponse
    | WatchResponse
    | StatusResponse
    | HashResponse
    | HashKVResponse
    | AlarmResponse
    | MemberListResponse
)
