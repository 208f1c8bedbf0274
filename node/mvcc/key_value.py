"""Defines the values that the store returns: a key-value, an event, and the result of a range.

Source: etcd's api/mvccpb/kv.proto.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec


class KeyValue(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A key with its value and revisions.

    `create_revision` is the revision of the key's creation, and `version` the number of puts since
    then. For a deleted key only `key` and `mod_revision` are set.
    """

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
    """A put or a deletion of a key, as a watch reports it.

    `kv` is the key-value after the change. `previous` is the key-value before the revision of the
    change. It is None if the key did not exist, if the previous revision is compacted, or if the
    previous value was not requested.
    """

    type: EventType
    kv: KeyValue
    previous: KeyValue | None = None


class RangeResult(msgspec.Struct, frozen=True):
    """The result of reading the keys of an interval.

    `kvs` contains the keys found, in key order, up to the limit. `count` is the number of all keys
    in the interval, including those above the limit. `revision` is the revision of the store at the
    time of the read, which is not necessarily the requested revision.
    """

    kvs: list[KeyValue]
    count: int
    revision: int


encode_key_value = msgspec.msgpack.Encoder().encode
decode_key_value = msgspec.msgpack.Decoder(KeyValue).decode


def create_revision_of(previous: KeyValue | None, main: int) -> int:
    """Return the create revision of a key after a put at revision `main`.

    `previous` is the key-value before the put. Its create revision stays the same until the key is
    deleted.
    """
    return main if previous is None else previous.create_revision


def version_after_put(previous: KeyValue | None) -> int:
    """Return the version of a key after a put: 1 if the key did not exist before."""
    return 1 if previous is None else previous.version + 1
