"""The members of the cluster, with their URLs and names.

The peer URLs come from the initial configuration. Each member publishes its other attributes (name
and client URLs) through the log. The published attributes are in the backend's bucket `members`, so
every snapshot contains them. They are written in the same batch as the consistent index of their
entry.

Source: etcd's `server/etcdserver/api/membership` (RaftAttributes, Attributes).
"""

from __future__ import annotations

import msgspec

from splitbrain.node.backend import Backend
from splitbrain.node.config import Config
from splitbrain.node.messages.internal_request import MemberAttributesRequest
from splitbrain.node.messages.rpc import Member

_MEMBERS = b"members"


class Membership:
    """All members, as this member knows them."""

    def __init__(self, backend: Backend, config: Config) -> None:
        self._backend = backend
        self._peers = sorted(config.peers, key=lambda peer: peer.id)
        self.own = MemberAttributesRequest(
            config.member_id, config.name, config.advertise_client_urls
        )
        """The attributes that this member publishes."""
        self.restore()

    def members(self) -> list[Member]:
        """Return all members in the order of their ids.

        A member that has not published its attributes yet has the name from the flags and no
        client URLs.
        """
        published = {self.own.member_id: self.own, **self._published}
        members = []
        for peer in self._peers:
            one = published.get(peer.id)
            name, client_urls = (peer.name, ()) if one is None else (one.name, one.client_urls)
            members.append(Member(peer.id, name, peer.peer_urls, client_urls))
        return members

    def record(self, attributes: MemberAttributesRequest) -> None:
        """Store the attributes that a committed entry contains.

        There must be no await between this call and `Store.set_consistent_index`.
        """
        self._published[attributes.member_id] = attributes
        key = _key(attributes.member_id)
        self._backend.put(_MEMBERS, key, msgspec.json.encode(attributes))

    def restore(self) -> None:
        """Load the attributes from the backend, at the start and after `Backend.replace_with`."""
        pairs = self._backend.range(_MEMBERS, b"")
        stored = [msgspec.json.decode(value, type=MemberAttributesRequest) for _, value in pairs]
        self._published = {attributes.member_id: attributes for attributes in stored}


def _key(member_id: int) -> bytes:
    return f"{member_id:016x}".encode()
