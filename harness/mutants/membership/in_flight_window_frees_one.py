"""Bug: an acknowledgement of several appends frees only one place in the follower's window."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.inflights import Inflights
from splitbrain.node.raft.message import Index

MUTANT = Mutant(
    what="the window of a follower leaks when one acknowledgement covers several appends",
    source="etcd-io/raft, Inflights.FreeLE: everything up to the index is freed",
    found_by=("invariants",),
)


def plant() -> None:
    def free_up_to(self: Inflights, index: Index) -> None:
        window = self._window
        if window and window[0][0] <= index:
            self._bytes -= window.popleft()[1]

    Inflights.free_up_to = free_up_to  # type: ignore[method-assign]
