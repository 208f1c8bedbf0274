r"""Defines the operations of a v3 key-value store in a history.

Keys and values are text, so that a person can read a history. The harness chooses only keys and
values that are text. A store that corrupts values may return bytes that are not UTF-8. Each of
these bytes is recorded as an escape such as `\xff`, because JSON must be valid UTF-8. Revisions,
versions and leases are integers; 0 means "not given", as in etcd's protobuf.

A request contains the authentication token that was sent with it (`token`; "": no token; see
`histories/auth.py`). The requests inside a transaction have no token of their own.

The garbage collector need not track these values (`gc=False`), because they cannot form a reference
cycle.

The values are generic in the type of their keys, which is `str`. `histories/shared_keys.py` decodes
them with the type `Literal` of all keys of a history, because each key is then in memory once.

Source: etcd's `rpc.proto` (KV service), with the names of its JSON gateway.
"""

from __future__ import annotations

from typing import Generic, Literal

import msgspec
from typing_extensions import TypeVar

KeyT = TypeVar("KeyT", bound=str, default=str)
"""The type of keys."""


class _Value(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True
):
    """The base class of requests, answers and their parts.

    The decoder refuses a field of an unknown name.
    """


class Header(_Value, frozen=True):
    """The header of every answer of a v3 store: the member that answered, and its revision."""

    revision: int = 0
    member_id: int = 0
    cluster_id: int = 0
    raft_term: int = 0


class KeyValue(_Value, Generic[KeyT], frozen=True):
    """A key and its value at one revision."""

    key: KeyT
    value: str = ""
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int = 0


# --- requests -----------------------------------------------------------------


class Put(_Value, Generic[KeyT], frozen=True, tag_field="op", tag="put"):
    """A write of one key. With `prev_kv`, the answer contains the key-value before the write.

    With `ignore_lease`, the key stays attached to its lease, and `lease` is 0. With `ignore_value`,
    the key keeps its value, and `value` is empty. The store refuses both if the key does not exist.
    """

    key: KeyT
    value: str = ""
    lease: int = 0
    prev_kv: bool = False
    ignore_lease: bool = False
    ignore_value: bool = False
    token: str = ""

    @property
    def keeps(self) -> bool:
        """Return whether the put keeps the value or the lease that its key already has.

        The store refuses such a put if the key does not exist.
        """
        return self.ignore_lease or self.ignore_value


class Range(_Value, Generic[KeyT], frozen=True, tag_field="op", tag="range"):
    """A read of one key, or of the interval `[key, range_end)`.

    Without `range_end`, only `key` is read. The `range_end` "\\0" reads all keys from `key` on.
    The answer is sorted by `sort_by` (by key if not given), in ascending order unless `descend`.
    The order of key-values that are equal by `sort_by` is not defined. The answer contains the
    first `limit` key-values in the order of the answer; 0: all. Key-values are left out if their
    mod_revision is below `min_mod` or above `max_mod`, or if their create_revision is below
    `min_create` or above `max_create`; 0: no bound.
    """

    key: KeyT
    range_end: KeyT = ""  # type: ignore[assignment]
    revision: int = 0
    limit: int = 0
    serializable: bool = False
    keys_only: bool = False
    count_only: bool = False
    sort_by: Literal["", "key", "value", "version", "create", "mod"] = ""
    descend: bool = False
    min_mod: int = 0
    max_mod: int = 0
    min_create: int = 0
    max_create: int = 0
    token: str = ""

    @property
    def filtered(self) -> bool:
        """Return whether the read has a bound on revisions, so that it can exclude key-values."""
        return bool(self.min_mod or self.max_mod or self.min_create or self.max_create)

    @property
    def partial(self) -> bool:
        """Return whether the answer may lack keys of the interval, or fields of key-values."""
        return self.keys_only or self.count_only or self.limit > 0 or self.filtered


class Delete(
    _Value, Generic[KeyT], frozen=True, tag_field="op", tag="delete"
):
    """Deletes one key, or the keys of an interval that is given as in `Range`."""

    key: KeyT
    range_end: KeyT = ""  # type: ignore[assignment]
    prev_kv: bool = False
    token: str = ""


class Compare(_Value, Generic[KeyT], frozen=True):
    """Compares the field `target` of `key` with `operand`.

    The comparison is true if the relation `result` is true of the two. `operand` is text if
    `target` is "value", and a number otherwise.
    """

    key: KeyT
    target: Literal["value", "version", "create", "mod", "lease"]
    result: Literal["=", "!=", "<", ">"]
    operand: str | int
    range_end: KeyT = ""  # type: ignore[assignment]


class Txn(_Value, Generic[KeyT], frozen=True, tag_field="op", tag="txn"):
    """Executes `success` if every comparison is true, and `failure` otherwise.

    The operations of the branch are atomic and share one revision.
    """

    compare: tuple[Compare[KeyT], ...] = ()
    success: tuple[Put[KeyT] | Range[KeyT] | Delete[KeyT] | Txn[KeyT], ...] = ()
    failure: tuple[Put[KeyT] | Range[KeyT] | Delete[KeyT] | Txn[KeyT], ...] = ()
    token: str = ""


class Compact(
    _Value, frozen=True, tag_field="op", tag="compact"
):
    """Drops the versions of keys that are older than `revision`.

    With `physical`, the answer is sent only after these versions are removed from the disk.
    """

    revision: int
    physical: bool = False


RequestWithKeys = Put[KeyT] | Range[KeyT] | Delete[KeyT] | Txn[KeyT] | Compact
Request = Put | Range | Delete | Txn | Compact


# --- answers ------------------------------------------------------------------


class PutResult(
    _Value, Generic[KeyT], frozen=True, tag_field="op", tag="put"
):
    header: Header = Header()
    prev_kv: KeyValue[KeyT] | None = None


class RangeResult(
    _Value, Generic[KeyT], frozen=True, tag_field="op", tag="range"
):
    """The answer to a `Range`.

    `count` is the number of keys in the interval, including those beyond a `limit`. `more` is True
    if the `limit` left keys out.
    """

    header: Header = Header()
    kvs: tuple[KeyValue[KeyT], ...] = ()
    count: int = 0
    more: bool = False


class DeleteResult(
    _Value, Generic[KeyT], frozen=True, tag_field="op", tag="delete"
):
    header: Header = Header()
    deleted: int = 0
    prev_kvs: tuple[KeyValue[KeyT], ...] = ()


class TxnResult(
    _Value, Generic[KeyT], frozen=True, tag_field="op", tag="txn"
):
    header: Header = Header()
    succeeded: bool = False
    responses: tuple[
        PutResult[KeyT] | RangeResult[KeyT] | DeleteResult[KeyT] | TxnResult[KeyT], ...
    ] = ()


class CompactResult(
    _Value, frozen=True, tag_field="op", tag="compact"
):
    header: Header = Header()


ResultWithKeys = (
    PutResult[KeyT] | RangeResult[KeyT] | DeleteResult[KeyT] | TxnResult[KeyT] | CompactResult
)
Result = PutResult | RangeResult | DeleteResult | TxnResult | CompactResult


def writes(request: Request) -> bool:
    """Return whether `request` may change the store, whichever branch a transaction takes."""
    match request:
        case Put() | Delete() | Compact():
            return True
        case Txn():
            return any(writes(op) for op in (*request.success, *request.failure))
        case Range():
            return False
