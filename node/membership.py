"""Who the members are: their addresses for peers, given at the start, and what each has
said of itself since, through the log: its name and its URLs for clients.

What they said is in the backend's bucket `members`, so that it is in every snapshot, and
with the consistent index of the entry that said it.

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
    """All members, as one of them knows them."""

    def __init__(self, backend: Backend, config: Config) -> None:
        self._backend = backend
        self._peers = sorted(config.peers, key=lambda peer: peer.id)
        self.own = MemberAttributesRequest(
            config.member_id, config.name, config.advertise_client_urls
        )
        """What this member has to say of itself."""
        self.restore()

    def members(self) -> list[Member]:
        """In the order of their ids. One that has not been heard yet has the name that the
        flags give it, and no URLs for clients."""
        said = {self.own.member_id: self.own, **self._said}
        members = []
        for peer in self._peers:
            one = said.get(peer.id)
            name, client_urls = (peer.name, ()) if one is None else (one.name, one.client_urls)
            members.append(Member(peer.id, name, peer.peer_urls, client_urls))
        return members

    def record(self, said: MemberAttributesRequest) -> None:
        """A committed entry. No await between this and `Store.set_consistent_index`."""
        self._said[said.member_id] = said
        self._backend.put(_MEMBERS, _key(said.member_id), msgspec.json.encode(said))

    def restore(self) -> None:
        """Read anew what the backend holds, after `Backend.replace_with`."""
        found = self._backend.range(_MEMBERS, b"")
        kept = [msgspec.json.decode(value, type=MemberAttributesRequest) for _, value in found]
        self._said = {said.member_id: said for said in kept}


def _key(member_id: int) -> bytes:
    return f"{member_id:016x}".encode()
