"""Describes Raft's values in the text form of etcd-io/raft's interaction tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from splitbrain.node.raft.async_storage import (
    StorageAppend,
    StorageAppendResponse,
    StorageApply,
)
from splitbrain.node.raft.confchange import ConfChangeType, conf_change_of
from splitbrain.node.raft.message import (
    ConfState,
    Entry,
    EntryType,
    HardState,
    MemberId,
    Message,
    MessageType,
    Snapshot,
)
from splitbrain.node.raft.progress import ProgressState
from splitbrain.node.raft.ready import Ready, Role, SoftState
from splitbrain.node.raft.status import ProgressStatus
from tests.conformance.raft.go_text import quoted

APPEND_THREAD = "AppendThread"
APPLY_THREAD = "ApplyThread"

ROLES = {
    Role.FOLLOWER: "StateFollower",
    Role.PRE_CANDIDATE: "StatePreCandidate",
    Role.CANDIDATE: "StateCandidate",
    Role.LEADER: "StateLeader",
}
MESSAGES = {
    MessageType.PROP: "MsgProp",
    MessageType.APP: "MsgApp",
    MessageType.APP_RESP: "MsgAppResp",
    MessageType.VOTE: "MsgVote",
    MessageType.VOTE_RESP: "MsgVoteResp",
    MessageType.PRE_VOTE: "MsgPreVote",
    MessageType.PRE_VOTE_RESP: "MsgPreVoteResp",
    MessageType.SNAP: "MsgSnap",
    MessageType.HEARTBEAT: "MsgHeartbeat",
    MessageType.HEARTBEAT_RESP: "MsgHeartbeatResp",
    MessageType.READ_INDEX: "MsgReadIndex",
    MessageType.READ_INDEX_RESP: "MsgReadIndexResp",
    MessageType.TIMEOUT_NOW: "MsgTimeoutNow",
    MessageType.TRANSFER_LEADER: "MsgTransferLeader",
}
ENTRIES = {
    EntryType.NORMAL: "EntryNormal",
    EntryType.CONF_CHANGE: "EntryConfChange",
    EntryType.CONF_CHANGE_V2: "EntryConfChangeV2",
}
PROGRESS = {
    ProgressState.PROBE: "StateProbe",
    ProgressState.REPLICATE: "StateReplicate",
    ProgressState.SNAPSHOT: "StateSnapshot",
}
CHANGES = {
    ConfChangeType.ADD_NODE: "v",
    ConfChangeType.REMOVE_NODE: "r",
    ConfChangeType.UPDATE_NODE: "u",
    ConfChangeType.ADD_LEARNER_NODE: "l",
}


def target(member: MemberId) -> str:
    return f"{member:x}" if member else "None"


def entry(one: Entry) -> str:
    change = conf_change_of(one)
    if change is None:
        text = quoted(one.data)
    else:
        text = " ".join(f"{CHANGES[c.type]}{c.member}" for c in change.changes)
    return f"{one.term}/{one.index} {ENTRIES[one.type]} {text}".rstrip(" ")


def entries(several: Iterable[Entry]) -> list[str]:
    return [entry(one) for one in several]


def _bracketed_entries(several: Sequence[Entry]) -> list[str]:
    """The text after the other fields of a message: its first line, and further lines."""
    if not several:
        return [""]
    if len(several) == 1:
        return [f" Entries:[{entry(several[0])}]"]
    return [" Entries:[", *(f"  {line}" for line in entries(several)), "]"]


def hard_state(state: HardState) -> str:
    vote = f" Vote:{state.vote}" if state.vote else ""
    return f"Term:{state.term}{vote} Commit:{state.commit}"


def soft_state(state: SoftState) -> str:
    return f"Lead:{state.leader} State:{ROLES[state.role]}"


def conf_state(state: ConfState) -> str:
    def listed(members: Sequence[MemberId]) -> str:
        return "[" + " ".join(map(str, members)) + "]"

    return (
        f"Voters:{listed(state.voters)} VotersOutgoing:{listed(state.voters_outgoing)}"
        f" Learners:{listed(state.learners)} LearnersNext:{listed(state.learners_next)}"
        f" AutoLeave:{str(state.auto_leave).lower()}"
    )


def snapshot(one: Snapshot) -> str:
    metadata = one.metadata
    state = conf_state(metadata.conf_state)
    return f"Index:{metadata.index} Term:{metadata.term} ConfState:{state}"


def message(one: Message) -> list[str]:
    """The lines that describe a message."""
    text = (
        f"{target(one.from_)}->{target(one.to)} {MESSAGES[one.type]} Term:{one.term}"
        f" Log:{one.log_term}/{one.index}"
    )
    if one.reject:
        text += f" Rejected (Hint: {one.reject_hint})"
    if one.commit:
        text += f" Commit:{one.commit}"
    first, *lines = _bracketed_entries(one.entries)
    if one.snapshot is not None:
        lines.append(f"  Snapshot: {snapshot(one.snapshot)}")
    return [text + first, *lines]


def storage_append(member: MemberId, one: StorageAppend, *, responses: bool) -> list[str]:
    state = one.hard_state or HardState()
    text = f"{target(member)}->{APPEND_THREAD} MsgStorageAppend Term:{state.term} Log:0/0"
    if state.commit:
        text += f" Commit:{state.commit}"
    if state.vote:
        text += f" Vote:{state.vote}"
    first, *lines = _bracketed_entries(one.entries)
    lines = [text + first, *lines]
    if one.snapshot is not None:
        lines.append(f"  Snapshot: {snapshot(one.snapshot)}")
    return _with_responses(lines, append_responses(member, one)) if responses else lines


def append_responses(member: MemberId, one: StorageAppend) -> list[str]:
    lines = [line for response in one.responses for line in message(response)]
    if one.response is not None:
        lines += append_response(member, one.response)
    return lines


def append_response(member: MemberId, one: StorageAppendResponse) -> list[str]:
    lines = [
        f"{APPEND_THREAD}->{target(member)} MsgStorageAppendResp Term:{one.term}"
        f" Log:{one.log_term}/{one.index}"
    ]
    if one.snapshot is not None:
        lines.append(f"  Snapshot: {snapshot(one.snapshot)}")
    return lines


def storage_apply(member: MemberId, one: StorageApply, *, responses: bool) -> list[str]:
    first, *lines = _bracketed_entries(one.entries)
    lines = [f"{target(member)}->{APPLY_THREAD} MsgStorageApply Term:0 Log:0/0{first}", *lines]
    return _with_responses(lines, apply_response(member, one)) if responses else lines


def apply_response(member: MemberId, one: StorageApply) -> list[str]:
    first, *lines = _bracketed_entries(one.entries)
    return [f"{APPLY_THREAD}->{target(member)} MsgStorageApplyResp Term:0 Log:0/0{first}", *lines]


def _with_responses(lines: list[str], responses: list[str]) -> list[str]:
    if not responses:
        return lines
    lines = [*lines[:-1], f"{lines[-1]} Responses:["]
    return [*lines, *(f"  {line}" for line in responses), "]"]


def ready(one: Ready, messages: Sequence[str], *, must_sync: bool) -> list[str]:
    """The lines of a Ready. `messages` are the lines of its messages."""
    lines: list[str] = []
    if one.soft_state is not None:
        lines.append(soft_state(one.soft_state))
    if one.hard_state is not None:
        lines.append(f"HardState {hard_state(one.hard_state)}")
    if one.read_states:
        states = " ".join(f"{{{s.index} {list(s.context)}}}" for s in one.read_states)
        lines.append(f"ReadStates [{states}]")
    if one.entries:
        lines += ["Entries:", *entries(one.entries)]
    if one.snapshot is not None:
        lines.append(f"Snapshot {snapshot(one.snapshot)}")
    if one.committed_entries:
        lines += ["CommittedEntries:", *entries(one.committed_entries)]
    if messages:
        lines += ["Messages:", *messages]
    if not lines:
        return ["<empty Ready>"]
    return [f"Ready MustSync={str(must_sync).lower()}:", *lines]


def progress(one: ProgressStatus) -> str:
    text = f"{one.id}: {PROGRESS[one.state]} match={one.match} next={one.next}"
    if one.is_learner:
        text += " learner"
    if one.paused:
        text += " paused"
    if one.pending_snapshot:
        text += f" pendingSnap={one.pending_snapshot}"
    if not one.recent_active:
        text += " inactive"
    if one.inflight_messages:
        text += f" inflight={one.inflight_messages}" + ("[full]" if one.inflight_full else "")
    return text
