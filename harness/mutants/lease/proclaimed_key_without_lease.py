"""Bug: a proclamation detaches the key of an election's leader from its lease."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.election_service import ElectionHandlers
from splitbrain.node.messages.election import LeaderKey
from splitbrain.node.messages.rpc import ResponseHeader

MUTANT = Mutant(
    what="a proclamation detaches the leader's key from its lease, so the key outlives the lease",
    source="etcd's client/v3/concurrency/election.go, Election.Proclaim (WithLease)",
    found_by=("election",),
    hunt={"workload": "election"},
)


def plant() -> None:
    original = ElectionHandlers._proclaim

    async def proclaim(self: ElectionHandlers, leader: LeaderKey, value: bytes) -> ResponseHeader:
        return await original(self, replace(leader, lease=0), value)

    ElectionHandlers._proclaim = proclaim  # type: ignore[method-assign]
