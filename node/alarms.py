"""Stores the alarms of the cluster: a member has no space, or its data differs from its peers'.

Alarms are raised and cleared through the log, so all members have the same alarms after the same
entry. The backend's bucket `alarm` contains each alarm under the member's id and the kind of the
alarm. A change of the alarms is written in the same batch as the consistent index of its entry.

Source: etcd's `server/etcdserver/api/v3alarm` and `applierV3backend.Alarm`.
"""

from __future__ import annotations

import struct

from splitbrain.node.backend import Backend
from splitbrain.node.messages.rpc import (
    AlarmAction,
    AlarmMember,
    AlarmRequest,
    AlarmResponse,
    AlarmType,
)

_ALARMS = b"alarm"
_KEY = struct.Struct(">QI")


class Alarms:
    """The alarms that are raised now, according to the entries that this member has applied."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._raised: dict[tuple[int, int], None] = {}
        self._kinds: dict[int, None] = {}
        self.restore()

    def raised(self, kind: int = AlarmType.NONE) -> tuple[AlarmMember, ...]:
        """Return the alarms of one kind (NONE: of all kinds), sorted by kind and member."""
        return tuple(
            AlarmMember(member, alarm)
            for alarm, member in sorted(self._raised)
            if kind in (AlarmType.NONE, alarm)
        )

    def is_raised(self, kind: AlarmType, member: int | None = None) -> bool:
        """Return whether `member` (None: any member) has raised an alarm of this kind."""
        if member is None:
            return kind in self._kinds
        return (int(kind), member) in self._raised

    def apply(self, request: AlarmRequest) -> AlarmResponse:
        """Execute a committed request, and return the alarms that it lists, raises or clears.

        A request with an unknown action or kind has no effect. (etcd 3.5.1 panics.)

        There must be no await between this call and `Store.set_consistent_index`, so that both
        changes are flushed together.
        """
        known = request.alarm in (AlarmType.NOSPACE, AlarmType.CORRUPT)
        one = AlarmMember(request.member_id, request.alarm)
        place = (request.alarm, request.member_id)
        match request.action:
            case AlarmAction.GET:
                return AlarmResponse(alarms=self.raised(request.alarm))
            case AlarmAction.ACTIVATE if known:
                self._raised[place] = None
                self._backend.put(_ALARMS, _key(one), b"")
            case AlarmAction.DEACTIVATE if place in self._raised:
                del self._raised[place]
                self._backend.delete(_ALARMS, _key(one))
            case _:
                return AlarmResponse()
        self._kinds = {kind: None for kind, _ in self._raised}
        return AlarmResponse(alarms=(one,))

    def restore(self) -> None:
        """Load the alarms from the backend, at the start and after `Backend.replace_with`."""
        keys = [_KEY.unpack(key) for key, _ in self._backend.range(_ALARMS, b"")]
        self._raised = {(kind, member): None for member, kind in keys}
        self._kinds = {kind: None for kind, _ in self._raised}


def _key(alarm: AlarmMember) -> bytes:
    return _KEY.pack(alarm.member_id, alarm.alarm)
