"""Bug: when the leader changes, the member answers all pending writes with 'no leader'."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.messages import errors
from splitbrain.node.raft.ready import SoftState
from splitbrain.node.raft_driver import RaftDriver

MUTANT = Mutant(
    what="a write that may be in a log is refused because the leader changed",
    source="Jepsen's analyses of etcd 3.4.3 and Redis-Raft: a definite error must mean that the"
    " write did not happen",
    found_by=("mvcc", "transactions", "linearizable"),
)


def plant() -> None:
    original = RaftDriver._role_changed

    def _role_changed(self: RaftDriver, state: SoftState) -> None:
        original(self, state)
        pending = self._applier._pending
        for request in list(pending._futures):
            pending.resolve(request, errors.no_leader())

    RaftDriver._role_changed = _role_changed  # type: ignore[method-assign]
