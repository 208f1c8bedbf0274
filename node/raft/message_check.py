"""Checks whether a message is well-formed. Raft drops a message that is not."""

from __future__ import annotations

from splitbrain.node.raft.message import Message, MessageType

TERM_MAX = 2**63
"""The limit of the terms in messages. The term after a higher one could not be encoded."""

# A constant of the module is faster than an attribute of an enum class.
_APP, _SNAP = MessageType.APP, MessageType.SNAP
_WITHOUT_TERM = frozenset({MessageType.PROP, MessageType.READ_INDEX})
_LOCAL = frozenset({MessageType.UNREACHABLE, MessageType.SNAP_STATUS})


def is_well_formed(message: Message) -> bool:
    """Return whether a correct member could have sent `message`."""
    kind = message.type
    if kind in _LOCAL or message.from_ <= 0:
        return False
    if kind in _WITHOUT_TERM:
        return message.term == 0
    if not 0 < message.term < TERM_MAX:
        return False
    if message.index < 0 or message.log_term < 0 or message.commit < 0:
        return False
    if kind is _APP:
        return _is_slice_of_a_log(message)
    if kind is _SNAP:
        return _is_snapshot(message)
    return True


def _is_slice_of_a_log(message: Message) -> bool:
    index, term = message.index, message.log_term
    if (index == 0) != (term == 0):
        return False
    for entry in message.entries:
        index += 1
        if entry.index != index or entry.term < term:
            return False
        term = entry.term
    return term <= message.term


def _is_snapshot(message: Message) -> bool:
    if message.snapshot is None:
        return False
    metadata = message.snapshot.metadata
    return metadata.index > 0 and 0 < metadata.term <= message.term
