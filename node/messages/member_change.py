"""Defines changes of the cluster's members in the log, and the record of the members.

An entry contains a change of Raft's configuration. The context of this change contains the kind of
the change, the peer URLs, and an id. By this id, a member finds the request that waits for the
result.

Source: etcd's `server/etcdserver/api/membership` (ValidateConfigurationChange).
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from splitbrain.node.backend import Backend
from splitbrain.node.messages import errors
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.raft import confchange
from splitbrain.node.raft.confchange import ConfChange, ConfChangeSingle, ConfChangeType
from splitbrain.node.raft.errors import ConfChangeInvalid
from splitbrain.node.raft.message import ConfState, MemberId

LEARNERS_MAX = 1
"""The maximal number of learners in a cluster. Source: etcd's --max-learners."""
_BUCKET = b"members"
_KEY = b"cluster"


class ChangeKind(IntEnum):
    ADD = 0
    ADD_LEARNER = 1
    PROMOTE = 2
    REMOVE = 3
    UPDATE = 4


RAFT_TYPES = {
    ChangeKind.ADD: ConfChangeType.ADD_NODE,
    ChangeKind.ADD_LEARNER: ConfChangeType.ADD_LEARNER_NODE,
    ChangeKind.PROMOTE: ConfChangeType.ADD_NODE,
    ChangeKind.REMOVE: ConfChangeType.REMOVE_NODE,
    ChangeKind.UPDATE: ConfChangeType.UPDATE_NODE,
}


class MemberChange(msgspec.Struct, frozen=True, array_like=True):
    """A change of one member: added, removed, promoted, or given new peer URLs.

    `request` is the id by which a member finds the request that waits for the result.
    """

    request: int
    kind: ChangeKind
    member: MemberId
    peer_urls: tuple[str, ...] = ()


class KnownMember(msgspec.Struct, frozen=True):
    """The id and peer URLs of a member, and its name if it is in the initial configuration."""

    id: MemberId
    peer_urls: tuple[str, ...]
    name: str = ""


class ClusterRecord(msgspec.Struct, frozen=True):
    """The members of the cluster, now (`members`) and at the beginning (`initial`).

    A member that replays the log begins with `initial`. `removed` contains the ids of removed
    members, which are never used again.
    """

    conf_state: ConfState
    initial: tuple[KnownMember, ...]
    members: tuple[KnownMember, ...]
    removed: tuple[KnownMember, ...] = ()


def as_conf_change(change: MemberChange) -> ConfChange:
    single = ConfChangeSingle(RAFT_TYPES[change.kind], change.member)
    return ConfChange((single,), context=msgspec.msgpack.encode(change))


def member_change_of(change: ConfChange) -> MemberChange | None:
    """Return the change of the members that `change.context` contains.

    Returns None if `change` concerns only Raft's configuration. Raises msgspec.MsgspecError if the
    context is malformed.
    """
    if not change.context:
        return None
    return msgspec.msgpack.decode(change.context, type=MemberChange)


def refusal(record: ClusterRecord, change: ConfChange) -> RpcError | None:
    """Return the error for a committed change that must have no effect, or None for a valid change.

    The decision depends only on the earlier changes, so every member decides in the same way.
    """
    try:
        confchange.changed(record.conf_state, change)
        one = member_change_of(change)
    except (ConfChangeInvalid, msgspec.MsgspecError):
        return errors.not_enough_started()
    if one is None:
        return None
    if one.kind is ChangeKind.UPDATE and one.member not in record.conf_state.members:
        return errors.member_not_found()
    others = [known for known in record.members if known.id != one.member]
    if any({*one.peer_urls} & {*known.peer_urls} for known in others):
        # Two members can accept requests to add a member with the same URLs at the same time.
        return errors.peer_url_exists()
    return refusal_of(record.conf_state, one)


def refusal_of(conf_state: ConfState, change: MemberChange) -> RpcError | None:
    known = change.member in conf_state.members
    if change.kind in (ChangeKind.ADD, ChangeKind.ADD_LEARNER):
        if known:
            return errors.member_exists()
        if change.kind is ChangeKind.ADD_LEARNER and len(conf_state.learners) >= LEARNERS_MAX:
            return errors.too_many_learners()
        return None
    if not known:
        return errors.member_not_found()
    if change.kind is ChangeKind.PROMOTE and change.member not in conf_state.learners:
        return errors.member_not_learner()
    return None


def changed(record: ClusterRecord, change: ConfChange) -> ClusterRecord:
    """Return the record after `change`. The caller has checked the change with `refusal`."""
    conf_state = confchange.changed(record.conf_state, change)
    record = msgspec.structs.replace(record, conf_state=conf_state)
    one = member_change_of(change)
    if one is None or one.kind is ChangeKind.PROMOTE:
        return record
    others = tuple(known for known in record.members if known.id != one.member)
    if one.kind is ChangeKind.REMOVE:
        removed = tuple(known for known in record.members if known.id == one.member)
        return msgspec.structs.replace(record, members=others, removed=record.removed + removed)
    names = {known.id: known.name for known in record.members}
    member = KnownMember(one.member, one.peer_urls, names.get(one.member, ""))
    return msgspec.structs.replace(
        record, members=tuple(sorted((*others, member), key=lambda known: known.id))
    )


def stored_record(backend: Backend) -> ClusterRecord | None:
    """Return the record in the backend, or None if the members have never changed."""
    stored = backend.get(_BUCKET, _KEY)
    return None if stored is None else msgspec.json.decode(stored, type=ClusterRecord)


def store_record(backend: Backend, record: ClusterRecord) -> None:
    backend.put(_BUCKET, _KEY, msgspec.json.encode(record))
