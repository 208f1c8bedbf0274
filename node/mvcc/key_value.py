"""A key's value at a revision, and a change to it.

Source: etcd's api/mvccpb/kv.proto.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec


class KeyValue(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`version` counts the puts since the key was created, in `create_revision`; a
    deleted key has neither, only the revision that deleted it."""

    key: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    value: bytes = b""
    lease: int = 0


class EventType(IntEnum):
    PUT = 0
    DELETE = 1


class Event(msgspec.Struct, frozen=True):
    """`previous`: the key before the revision; None if it was not there, if that is
    compacted, or if nobody asked."""

    type: EventType
    kv: KeyValue
    previous: KeyValue | None = None


class RangeResult(msgspec.Struct, frozen=True):
    """The result of a range.

    `kvs`: the keys found, in key order, at most as many as the limit allows. `count`: how
    many keys the interval contains without the limit. `revision`: the revision of the store
    at the time of the read, which is not necessarily the requested revision.
    """

    kvs: list[KeyValue]
    count: int
    revision: int


encode_key_value = msgspec.msgpack.Encoder().encode
decode_key_value = msgspec.msgpack.Decoder(KeyValue).decode


def create_revision_of(previous: KeyValue | None, main: int) -> int:
    """Of a key that is put at revision `main`: kept for as long as the key lives."""
    return main if previous is None else previous.create_revision


def version_after_put(previous: KeyValue | None) -> int:
    """1 for a new key; a deleted key that is put again is a new one."""
    return 1 if previous is None else previous.version + 1
