"""Bug: a member whose peer URL has changed keeps its links to the former URL at other members."""

from __future__ import annotations

from collections.abc import Mapping

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.raft.message import MemberId
from splitbrain.node.transport import Transport

MUTANT = Mutant(
    what="members keep their links to the former peer URL of a member that was updated",
    source="etcd's rafthttp, Transport.UpdatePeer",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    original = Transport.set_peers

    def set_peers(self: Transport, peers: Mapping[MemberId, str]) -> None:
        known = self._peers
        original(self, {peer: known.get(peer, url) for peer, url in peers.items()})
        self._peers = dict(peers)

    Transport.set_peers = set_peers  # type: ignore[method-assign]
