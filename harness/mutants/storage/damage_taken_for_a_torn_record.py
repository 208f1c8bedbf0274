"""Bug: a member that starts treats any damage of the newest log segment as a torn record."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage import torn_tail

MUTANT = Mutant(
    what="the log is cut off at a damaged record, and acknowledged records after it are"
    " lost",
    source="etcd-io/etcd issue 10219 and its wal repair, which truncates at the first broken"
    " record; Alagappan et al., FAST 2018 (protocol-aware recovery)",
    found_by=("invariants", "raft_safety", "write_path", "mvcc"),
    hunt={"nemesis": ("storage",)},
)


def plant() -> None:
    torn_tail.is_torn = lambda *_: True
