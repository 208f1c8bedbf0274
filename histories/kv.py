"""The operations of a v3 key-value store as they stand in a history.

Keys and values are text here: a harness makes its own keys, and text is what a
person reads in a history. Bytes that are not UTF-8, which only a store that spoils
values answers, stand as `\\xff` (`backslashreplace`): JSON holds no lone surrogates.
Revisions, versions and leases are plain integers; 0 means "not given", as in
etcd's protobuf.

The collector need not look at these values (`gc=False`): none can hold itself.

Source: etcd's `rpc.proto` (KV service), with the names of its JSON gateway.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Header(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What every answer of a v3 store says of the store: who answered, at which revision."""

    revision: int = 0
    member_id: int = 0
    cluster_id: int = 0
    raft_term: int = 0


class KeyValue(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One key at one revision."""

    key: str
    value: str = ""
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int = 0


# --- requests -----------------------------------------------------------------


class Put(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="put"):
    key: str
    value: str = ""
    lease: int = 0
    prev_kv: bool = False


class Range(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="range"):
    """A get (no `range_end`), an interval `[key, range_end)`, or all from `key` on ("\\0").

    `sort_by`: the order of the answer, by which a `limit` cuts, upwards unless `descend`;
    without it the order of the keys.
    """

    key: str
    range_end: str = ""
    revision: int = 0
    limit: int = 0
    serializable: bool = False
    keys_only: bool = False
    count_only: bool = False
    sort_by: Literal["", "key", "value"] = ""
    descend: bool = False


class Delete(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="delete"
):
    key: str
    range_end: str = ""
    prev_kv: bool = False


class Compare(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """`target` of `key` stands in relation `result` to `operand` (text for "value")."""

    key: str
    target: Literal["value", "version", "create", "mod", "lease"]
    result: Literal["=", "!=", "<", ">"]
    operand: str | int
    range_end: str = ""


class Txn(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="txn"):
    """`success` if every comparison holds, else `failure`: one atomic step, one revision."""

    compare: tuple[Compare, ...] = ()
    success: tuple[Put | Range | Delete | Txn, ...] = ()
    failure: tuple[Put | Range | Delete | Txn, ...] = ()


class Compact(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="compact"
):
    revision: int
    physical: bool = False


Request = Put | Range | Delete | Txn | Compact


# --- answers ------------------------------------------------------------------


class PutResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="put"
):
    header: Header = Header()
    prev_kv: KeyValue | None = None


class RangeResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="range"
):
    """`count` is the number of keys in the interval, also beyond a `limit`; `more` says so."""

    header: Header = Header()
    kvs: tuple[KeyValue, ...] = ()
    count: int = 0
    more: bool = False


class DeleteResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="delete"
):
    header: Header = Header()
    deleted: int = 0
    prev_kvs: tuple[KeyValue, ...] = ()


class TxnResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="txn"
):
    header: Header = Header()
    succeeded: bool = False
    responses: tuple[PutResult | RangeResult | DeleteResult | TxnResult, ...] = ()


class CompactResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="compact"
):
    header: Header = Header()


Result = PutResult | RangeResult | DeleteResult | TxnResult | CompactResult


def writes(request: Request) -> bool:
    """Whether `request` may change the store, whichever branch a transaction takes."""
    match request:
        case Put() | Delete() | Compact():
            return True
        case Txn():
            return any(writes(op) for op in (*request.success, *request.failure))
        case Range():
            return False
