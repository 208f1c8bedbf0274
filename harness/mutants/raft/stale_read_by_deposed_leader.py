"""A member that believes it leads serves reads without asking a majority whether it does."""

from __future__ import annotations

from dataclasses import replace

from splitbrain.harness.mutants.mutant import SHORT_RUN, Mutant
from splitbrain.node import server
from splitbrain.node.raft.ready import Role
from splitbrain.node.server import Server

MUTANT = Mutant(
    what="a leader answers linearizable reads from its own store at once",
    source="Raft paper, section 8; Jepsen's analyses of etcd 0.4 and Consul (2014), and of MongoDB"
    " 2.6.7: stale reads",
    found_by=("mvcc", "linearizable", "invariants"),
    # Elections well within the shortest partition, and clients enough that some still
    # read at a leader on which others wait in vain to write.
    run={
        **SHORT_RUN,
        "time_limit_s": 16.0,
        "heartbeat_ms": 20,
        "election_ms": 200,
        "clients": 20,
        "request_timeout_ms": 500,
        "workload": "register",
        "nemesis": ("partition",),
    },
)


def plant() -> None:
    honest = Server.linearizable_read

    async def linearizable_read(self: Server) -> None:
        if self.raft.role is not Role.LEADER:
            await honest(self)

    Server.linearizable_read = linearizable_read  # type: ignore[method-assign]
    # A leader that has not heard of a majority for an election timeout steps down; many
    # that served stale reads did not.
    honest_config = server.raft_config
    server.raft_config = lambda config, world: replace(
        honest_config(config, world), check_quorum=False
    )
