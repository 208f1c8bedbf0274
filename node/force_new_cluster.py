"""Makes a member the only member of its cluster, after the majority is lost (--force-new-cluster).

The member drops the entries that are not known to be committed. Then it writes committed entries
that remove all other members. The member keeps its id. The cluster keeps its id, its keys and its
revisions. The other members must never run again with their data, because they may have elected a
leader.

Source: etcd's `--force-new-cluster` (createConfChangeEnts, getIDs).
"""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.node.member_storage import DataRefused, MemberStorage, Recovered
from splitbrain.node.membership import Membership
from splitbrain.node.messages.member_change import (
    ChangeKind,
    ClusterRecord,
    MemberChange,
    as_conf_change,
    changed,
    refusal,
)
from splitbrain.node.raft import confchange
from splitbrain.node.raft.message import Entry, EntryType, HardState, Index, MemberId

NO_REQUEST = 0
"""The request id of changes for which no client waits."""


async def force_new_cluster(
    storage: MemberStorage, membership: Membership, applied: Index, own: MemberId
) -> None:
    """Append committed entries to the log. They remove all members except `own`.

    `applied` is the index up to which `membership` is applied.

    Raises DataRefused if this member was removed itself, and DiskError.
    """
    recovered = storage.recovered
    committed = recovered.hard_state.commit
    kept = tuple(entry for entry in recovered.entries if entry.index <= committed)
    record = _record_after(membership.record_of_members, applied, kept)
    if own not in record.conf_state.members:
        raise DataRefused(
            f"--force-new-cluster: this member ({own:x}) was removed from the cluster; use the "
            "data of a present member"
        )
    term = recovered.hard_state.term + 1
    first = max(committed, recovered.snapshot.index) + 1
    added = tuple(
        Entry(term, index, EntryType.CONF_CHANGE_V2, data)
        for index, data in enumerate(_changes(record, own), start=first)
    )
    last = added[-1].index if added else first - 1
    hard_state = HardState(term, own, last)
    await storage.save(hard_state, added, sync=True)
    storage.recovered = Recovered(hard_state, recovered.snapshot, (*kept, *added))


def _record_after(
    record: ClusterRecord, applied: Index, entries: tuple[Entry, ...]
) -> ClusterRecord:
    """Return the members after the committed entries, some of which may not be applied yet."""
    for entry in entries:
        if entry.type is EntryType.NORMAL or entry.index <= applied:
            continue
        change = confchange.decode(entry.data)
        if refusal(record, change) is None:
            record = changed(record, change)
    return record


def _changes(record: ClusterRecord, own: MemberId) -> Iterator[bytes]:
    """Yield the payloads of the entries that remove all other members and make `own` a voter."""
    conf_state = record.conf_state
    if conf_state.is_joint:
        yield confchange.encode(confchange.LEAVE_JOINT)
        conf_state = confchange.leave_joint(conf_state)
    if own in conf_state.learners:
        yield _encoded(MemberChange(NO_REQUEST, ChangeKind.PROMOTE, own))
    for member in conf_state.members:
        if member != own:
            yield _encoded(MemberChange(NO_REQUEST, ChangeKind.REMOVE, member))


def _encoded(change: MemberChange) -> bytes:
    return confchange.encode(as_conf_change(change))
