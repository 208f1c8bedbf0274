"""Defines the operations of a v3 store's maintenance service in a history.

Source: etcd's `rpc.proto` (Maintenance service).
"""

from __future__ import annotations

import msgspec

from splitbrain.histories.kv import Header


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


MaintenanceRequest = AlarmList | AlarmDisarm | Defragment | MemberSize


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


MaintenanceResult = AlarmListResult | AlarmDisarmResult | DefragmentResult | MemberSizeResult
