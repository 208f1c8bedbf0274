"""Bug: a member that believes it is leader answers reads without confirmation by a majority."""

from __future__ import annotations

from dataclasses import replace

from splitbrain.harness.mutants.mutant import SHORT_RUN, Mutant
from splitbrain.node import member_settings
from splitbrain.node.raft.ready import Role
from splitbrain.node.server import Server

MUTANT = Mutant(
    what="a leader answers linearizable reads from its own store at once",
    source="Raft paper, section 8; Jepsen's analyses of etcd 0.4 and Consul (2014), and of MongoDB"
    " 2.6.7: stale reads",
    found_by=("mvcc", "linearizable", "invariants"),
    # Elections are shorter than the shortest partition, and there are enough clients that
    # some still read from the old leader while others wait there for their writes.
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
    original = Server.linearizable_read

    async def linearizable_read(self: Server) -> None:
        if self.raft.role is not Role.LEADER:
            await original(self)

    Server.linearizable_read = linearizable_read  # type: ignore[method-assign]
    # With check-quorum a leader steps down if it does not hear from a majority for an election
    # timeout. Many stores that served stale reads had no such check.
    original_config = member_settings.raft_config
    member_settings.raft_config = lambda config, world: replace(
        original_config(config, world), check_quorum=False
    )
