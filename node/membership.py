"""Stores the members of the cluster, with their URLs and names, as this member knows them.

The initial members and their peer URLs come from the configuration. Two kinds of log entries change
this information:

- A change of the members (`splitbrain.node.messages.member_change`). After the first change, the
  backend's bucket `members` contains the record of all members.
- The attributes (name and client URLs) that a member publishes. The bucket `members` contains the
  published attributes.

The bucket is written in the same batch as the consistent index of the entry, and is part of every
snapshot.

Source: etcd's `server/etcdserver/api/membership` (RaftAttributes, Attributes).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from splitbrain.node.backend import Backend
from splitbrain.node.config import Config, Peer
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.internal_request import MemberAttributesRequest
from splitbrain.node.messages.member_change import (
    ClusterRecord,
    KnownMember,
    changed,
    refusal,
    store_record,
    stored_record,
)
from splitbrain.node.messages.rpc import Member
from splitbrain.node.raft.confchange import ConfChange
from splitbrain.node.raft.message import ConfState, MemberId

_MEMBERS = b"members"
_KEY_BYTES = 16


class Membership:
    """The members of the cluster, according to the entries that this member has applied."""

    def __init__(self, backend: Backend, config: Config) -> None:
        self._backend = backend
        self._record: ClusterRecord
        self._initial = known_members(config.peers)
        self._contacts = () if config.joined is None else known_members(config.joined.contacts)
        self.own = MemberAttributesRequest(
            config.member_id, config.name, config.advertise_client_urls
        )
        """The attributes that this member publishes: its name and client URLs."""
        self.restore()

    @property
    def record_of_members(self) -> ClusterRecord:
        return self._record

    @property
    def is_changed(self) -> bool:
        """Whether a member was ever added, removed, promoted or given new URLs."""
        return self._changed

    @property
    def is_removed(self) -> bool:
        """Whether this member itself was removed from the cluster."""
        return any(known.id == self.own.member_id for known in self._record.removed)

    def members(self) -> list[Member]:
        """Return all members in the order of their ids.

        A member that has not published its attributes yet has the name from the flags and no
        client URLs.
        """
        published = {self.own.member_id: self.own, **self._published}
        members = []
        for known in self._record.members:
            one = published.get(known.id)
            name, client_urls = (known.name, ()) if one is None else (one.name, one.client_urls)
            members.append(
                Member(
                    id=known.id,
                    name=name,
                    peer_urls=known.peer_urls,
                    client_urls=client_urls,
                    is_learner=known.id in self._record.conf_state.learners,
                )
            )
        return members

    def has_started(self, member: MemberId) -> bool:
        """Return whether a member has started, as shown by its published name.

        The initial members are treated as started, because they have the name from the flags.
        """
        return any(one.id == member and one.name for one in self.members())

    def peer_urls(self) -> dict[MemberId, str]:
        """Return the first peer URL of each other member.

        If this member was added to a running cluster, it may not yet have applied the entry that
        added it. Until then, the result also contains the members that this member learned when it
        joined.
        """
        known = {one.id: one for one in self._record.members}
        if self.own.member_id not in known:
            removed = {one.id for one in self._record.removed}
            known |= {one.id: one for one in self._contacts if one.id not in removed}
        return {
            one.id: one.peer_urls[0]
            for one in sorted(known.values(), key=lambda one: one.id)
            if one.id != self.own.member_id
        }

    def apply(self, change: ConfChange) -> RpcError | None:
        """Store a committed change of the members.

        Returns the reason if the change has no effect, and otherwise None. There must be no await
        between this call and `Store.set_consistent_index`.
        """
        refused = refusal(self._record, change)
        if refused is None:
            self._record = changed(self._record, change)
            self._changed = True
            store_record(self._backend, self._record)
        return refused

    def record(self, attributes: MemberAttributesRequest) -> None:
        """Store the name and client URLs that a member has published in a committed entry.

        There must be no await between this call and `Store.set_consistent_index`.
        """
        self._published[attributes.member_id] = attributes
        key = _key(attributes.member_id)
        self._backend.put(_MEMBERS, key, msgspec.json.encode(attributes))

    def restore(self) -> None:
        """Load the members from the backend, at the start and after `Backend.replace_with`."""
        pairs = self._backend.range(_MEMBERS, b"")
        stored = [
            msgspec.json.decode(value, type=MemberAttributesRequest)
            for key, value in pairs
            if len(key) == _KEY_BYTES
        ]
        self._published = {attributes.member_id: attributes for attributes in stored}
        record = stored_record(self._backend)
        self._changed = record is not None
        self._record = record or ClusterRecord(
            ConfState(tuple(known.id for known in self._initial)), self._initial, self._initial
        )


def known_members(peers: Iterable[Peer]) -> tuple[KnownMember, ...]:
    return tuple(
        KnownMember(peer.id, peer.peer_urls, peer.name)
        for peer in sorted(peers, key=lambda peer: peer.id)
    )


def _key(member_id: int) -> bytes:
    return f"{member_id:016x}".encode()
