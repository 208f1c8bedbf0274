"""Writes under way are told that there is no leader as soon as the leader is another one."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.messages import errors
from splitbrain.node.raft.ready import SoftState
from splitbrain.node.raft_driver import RaftDriver

MUTANT = Mutant(
    what="a write that may be in a log is refused because the leader has changed",
    source="Jepsen on etcd 3.4.3 and on Redis-Raft: an error that says no is a promise",
    found_by=("mvcc", "transactions", "linearizable"),
)


def plant() -> None:
    honest = RaftDriver._role_changed

    def _role_changed(self: RaftDriver, state: SoftState) -> None:
        honest(self, state)
        pending = self._applier._pending
        for request in list(pending._futures):
            pending.resolve(request, errors.no_leader())

    RaftDriver._role_changed = _role_changed  # type: ignore[method-assign]
