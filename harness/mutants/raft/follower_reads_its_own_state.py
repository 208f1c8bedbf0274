"""Bug: a follower answers linearizable reads from its own store without a read index."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.ready import Role
from splitbrain.node.server import Server

MUTANT = Mutant(
    what="a follower answers a linearizable read without the leader",
    source="etcd-io/etcd issue 741; Jepsen's analysis of etcd and Consul (2014): stale reads",
    found_by=("mvcc", "linearizable", "invariants"),
)


def plant() -> None:
    original = Server.linearizable_read

    async def linearizable_read(self: Server) -> None:
        if self.raft.role is Role.LEADER:
            await original(self)

    Server.linearizable_read = linearizable_read  # type: ignore[method-assign]
