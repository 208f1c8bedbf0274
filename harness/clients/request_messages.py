"""The requests of the key-value service, as etcd's v3 JSON gateway and its gRPC service read them.

msgspec encodes these structs. Bytes are bytes, 64-bit integers are strings, and enums are names.
Fields that are zero are left out.

Source: etcd's documentation of the gRPC gateway, `rpc.proto`.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType


class _Message(msgspec.Struct, omit_defaults=True, gc=False):
    """A message of etcd. Its fields have the names of the protobuf file."""


class PutMessage(_Message):
    key: bytes = b""
    value: bytes = b""
    lease: str = ""
    prev_kv: bool = False
    ignore_value: bool = False
    ignore_lease: bool = False


class RangeMessage(_Message):
    key: bytes = b""
    range_end: bytes = b""
    limit: str = ""
    revision: str = ""
    sort_order: str = ""
    sort_target: str = ""
    serializable: bool = False
    keys_only: bool = False
    count_only: bool = False
    min_mod_revision: str = ""
    max_mod_revision: str = ""
    min_create_revision: str = ""
    max_create_revision: str = ""


class DeleteMessage(_Message):
    key: bytes = b""
    range_end: bytes = b""
    prev_kv: bool = False


class CompactMessage(_Message):
    revision: str = ""
    physical: bool = False


class CompareMessage(_Message):
    """A comparison in a transaction. The operand that is set tells etcd which field to compare.

    Therefore an operand that is zero is sent, too.
    """

    result: str = ""
    target: str = ""
    key: bytes = b""
    range_end: bytes = b""
    version: str | UnsetType = UNSET
    create_revision: str | UnsetType = UNSET
    mod_revision: str | UnsetType = UNSET
    value: bytes | UnsetType = UNSET
    lease: str | UnsetType = UNSET


class BranchMessage(_Message):
    """One operation of a transaction. Exactly one of the four fields is set."""

    request_range: RangeMessage | UnsetType = UNSET
    request_put: PutMessage | UnsetType = UNSET
    request_delete_range: DeleteMessage | UnsetType = UNSET
    request_txn: TxnMessage | UnsetType = UNSET


class TxnMessage(_Message):
    compare: list[CompareMessage] = []
    success: list[BranchMessage] = []
    failure: list[BranchMessage] = []


KvMessage = PutMessage | RangeMessage | DeleteMessage | TxnMessage | CompactMessage
