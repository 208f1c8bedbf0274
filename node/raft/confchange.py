"""Defines changes of the cluster's configuration, and their effect on a `ConfState`.

A change that affects at most one voter takes effect in one step. Any other change first enters a
joint configuration (Raft thesis, 4.3). A second change then leaves it.

Source: etcd-io/raft, `confchange` and `ConfChangeV2`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import msgspec

from splitbrain.node.raft.errors import ConfChangeInvalid
from splitbrain.node.raft.message import NONE, ConfState, Entry, EntryType, MemberId


class ConfChangeType(IntEnum):
    """The kinds of changes, with the numbers of etcd-io/raft."""

    ADD_NODE = 0
    REMOVE_NODE = 1
    UPDATE_NODE = 2
    ADD_LEARNER_NODE = 3


class Transition(IntEnum):
    """How a change takes effect: with or without joint consensus.

    AUTO uses joint consensus only for several changes at once. JOINT_IMPLICIT and JOINT_EXPLICIT
    always use it. After JOINT_EXPLICIT, the application must propose to leave the joint
    configuration.
    """

    AUTO = 0
    JOINT_IMPLICIT = 1
    JOINT_EXPLICIT = 2


class ConfChangeSingle(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The change of one member."""

    type: ConfChangeType
    member: MemberId


class ConfChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A change of the configuration. If `changes` is empty, it leaves a joint configuration.

    Raft does not interpret `context`.
    """

    changes: tuple[ConfChangeSingle, ...] = ()
    transition: Transition = Transition.AUTO
    context: bytes = b""

    @property
    def leaves_joint(self) -> bool:
        """Whether the change leaves a joint configuration."""
        return self.transition is Transition.AUTO and not self.changes

    @property
    def enters_joint(self) -> bool:
        """Whether the change enters a joint configuration."""
        return self.transition is not Transition.AUTO or len(self.changes) > 1

    @property
    def auto_leave(self) -> bool:
        """Whether the leader leaves the joint configuration without the application's request."""
        return self.transition is not Transition.JOINT_EXPLICIT


LEAVE_JOINT = ConfChange()

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ConfChange).decode


def encode(change: ConfChange) -> bytes:
    """Return the payload of the entry for `change`.

    The payload of LEAVE_JOINT is empty, so no size limit can refuse it.
    """
    return b"" if change == LEAVE_JOINT else _encode(change)


def decode(data: bytes) -> ConfChange:
    """Decode the payload of an entry. Raises ConfChangeInvalid if it does not contain a change."""
    if not data:
        return LEAVE_JOINT
    try:
        return _decode(data)
    except msgspec.MsgspecError as problem:
        raise ConfChangeInvalid(f"{len(data)} bytes are not a change: {problem}") from problem


def conf_change_of(entry: Entry) -> ConfChange | None:
    """Return the change that `entry` contains, or None for a normal entry.

    Raises ConfChangeInvalid if the payload is malformed.
    """
    return None if entry.type is EntryType.NORMAL else decode(entry.data)


def changed(before: ConfState, change: ConfChange) -> ConfState:
    """Return the configuration after `change`.

    Raises ConfChangeInvalid if `change` is not possible in the configuration `before`.
    """
    if change.leaves_joint:
        return leave_joint(before)
    if change.enters_joint:
        return enter_joint(before, change)
    return change_one(before, change)


def change_one(before: ConfState, change: ConfChange) -> ConfState:
    """Return the configuration after a change of at most one voter, without joint consensus."""
    if before.is_joint:
        raise _invalid("the configuration is joint and must be left first", before, change)
    after = _applied(before, change)
    if len({*before.voters} ^ {*after.voters}) > 1:
        raise _invalid("more than one voter changes without joint consensus", before, change)
    return after


def enter_joint(before: ConfState, change: ConfChange) -> ConfState:
    """Return the joint configuration that `change` enters.

    The old voters become the outgoing voters, and the new voters the incoming ones.
    """
    if before.is_joint:
        raise _invalid("the configuration is already joint", before, change)
    if not before.voters:
        raise _invalid("a configuration without voters cannot become joint", before, change)
    joint = msgspec.structs.replace(
        before, voters_outgoing=before.voters, auto_leave=change.auto_leave
    )
    return _applied(joint, change)


def leave_joint(before: ConfState) -> ConfState:
    """Return the configuration after a joint configuration is left: only incoming voters remain."""
    if not before.is_joint:
        raise _invalid("the configuration is not joint and cannot be left", before, LEAVE_JOINT)
    return ConfState(before.voters, _sorted({*before.learners, *before.learners_next}))


def _applied(before: ConfState, change: ConfChange) -> ConfState:
    voters, learners, next_ = {*before.voters}, {*before.learners}, {*before.learners_next}
    for one in change.changes:
        member = one.member
        if member == NONE or one.type is ConfChangeType.UPDATE_NODE:
            continue
        if one.type is ConfChangeType.ADD_LEARNER_NODE and member in learners:
            continue
        voters.discard(member)
        learners.discard(member)
        next_.discard(member)
        if one.type is ConfChangeType.ADD_NODE:
            voters.add(member)
        elif one.type is ConfChangeType.ADD_LEARNER_NODE:
            # An outgoing voter becomes a learner only when the joint configuration is left, so
            # that no member is both.
            (next_ if member in before.voters_outgoing else learners).add(member)
    if not voters:
        raise _invalid("no voter would remain", before, change)
    return msgspec.structs.replace(
        before, voters=_sorted(voters), learners=_sorted(learners), learners_next=_sorted(next_)
    )


def _sorted(members: Iterable[MemberId]) -> tuple[MemberId, ...]:
    return tuple(sorted(members))


def _invalid(why: str, before: ConfState, change: ConfChange) -> ConfChangeInvalid:
    return ConfChangeInvalid(f"{why}: {change} cannot be applied to {before}")
