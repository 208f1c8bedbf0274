"""Defines the operations of a v3 store's maintenance service in a history.

Source: etcd's `rpc.proto` (Maintenance service).
"""

from __future__ import annotations

import msgspec

from splitbrain.histories.kv import Header, KeyValue

HASH_BYTES = 32
"""The size of the SHA-256 at the end of a snapshot."""


class Alarm(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An alarm of the member with the id `member`. `kind` is etcd's name, such as NOSPACE."""

    member: int
    kind: str


class AlarmList(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="alarm_list"
):
    """Asks for all alarms that are raised."""


class AlarmDisarm(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="alarm_disarm"
):
    """Clears the alarm NOSPACE of a member. With the member 0, nothing is cleared."""

    member: int = 0


class Defragment(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="defragment"
):
    """Rewrites the backend of the member that receives the request, without free pages."""


class MemberSize(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="member_size"
):
    """Asks the member that receives the request for the size of its backend."""


class Snapshot(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="snapshot"
):
    """Downloads a snapshot of the backend of the member that receives the request."""


MaintenanceRequest = AlarmList | AlarmDisarm | Defragment | MemberSize | Snapshot


class AlarmListResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="alarm_list"
):
    header: Header = Header()
    alarms: tuple[Alarm, ...] = ()


class AlarmDisarmResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="alarm_disarm"
):
    header: Header = Header()


class DefragmentResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="defragment"
):
    """The answer to a `Defragment`. Its header is empty, as in etcd."""

    header: Header = Header()


class MemberSizeResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="member_size"
):
    """The answer to a `MemberSize`, in bytes.

    `size_bytes` is the size of the backend's file, and `in_use_bytes` the part of it that is used.
    """

    header: Header = Header()
    size_bytes: int = 0
    in_use_bytes: int = 0


class SnapshotResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="snapshot"
):
    """The answer to a `Snapshot`. Its header is empty, as in etcd.

    `blocks` contains a pair for each message: the number of its bytes, and its field
    `remaining_bytes`. `hash_matches` is False if the last 32 bytes are not the SHA-256 of the
    others. `revision` is the revision of the content, and `kvs` its keys. For a bbolt file, which
    the harness does not read, the revision is 0. `unread` is the reason why the content is no
    complete snapshot.
    """

    header: Header = Header()
    blocks: tuple[tuple[int, int], ...] = ()
    hash_matches: bool = True
    revision: int = 0
    kvs: tuple[KeyValue, ...] = ()
    unread: str = ""


MaintenanceResult = (
    AlarmListResult | AlarmDisarmResult | DefragmentResult | MemberSizeResult | SnapshotResult
)
