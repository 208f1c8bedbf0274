"""Records which conditions of `coverage.py` a member meets when it starts.

They depend on the data that the member finds on its disk.
"""

from __future__ import annotations

from splitbrain.harness.simulation.coverage import Coverage
from splitbrain.node.server import Server


def record_start(coverage: Coverage, server: Server, *, restarted: bool) -> None:
    """Count the situation of a start, such as "a member restarted from a snapshot".

    `restarted` is False for the first start of a member.
    """
    raft, applied = server.raft, server.store.consistent_index
    if restarted:
        lacks = applied < raft.log.last_index
        which = "entries of its log" if lacks else "nothing"
        coverage.reached(f"a member restarted and its backend lacked {which}")
        coverage.sometimes(
            "a member restarted and its backend held entries of its log",
            applied > raft.log.compacted_index,
        )
        coverage.sometimes("a member restarted from a snapshot", raft.log.compacted_index > 0)
    if server.storage.damage:
        which = "its log" if raft.log.compacted_index > 0 else "its log and its backend"
        coverage.reached(f"a member began {which} anew")
