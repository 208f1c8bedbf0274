"""Bug: a follower answers keep-alives itself, and the leader never receives them."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.lease.keep_alive import Answer, LeaseService, Question

MUTANT = Mutant(
    what="a follower answers a keep-alive from its own state",
    source="etcd's LeaseRenew forwards the renewal to the leader (v3_server.go)",
    found_by=("lease",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = LeaseService._answered

    async def _answered(self: LeaseService, question: Question) -> Answer:
        lease = self._table.get(question.lease_id)
        leads = self._leader() == self._member_id
        if leads or question.kind != "keep_alive" or lease is None:
            return await original(self, question)
        return Answer(True, lease.ttl_s, lease.ttl_s)

    LeaseService._answered = _answered  # type: ignore[method-assign]
