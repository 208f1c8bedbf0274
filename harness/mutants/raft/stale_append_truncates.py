"""Bug: a follower cuts off its log behind the last entry of every append, even of an old append."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import follower
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Index, Message

MUTANT = Mutant(
    what="a delayed append removes entries that were acknowledged later",
    source="hashicorp/raft pull request 113; ktoso/akka-raft issue 66; Raft paper, figure 2: only"
    " conflicting entries are deleted",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    original = follower.append_entries

    def append_entries(log: Log, message: Message) -> Index:
        last = original(log, message)
        if message.entries and log.committed <= last < log.last_index:
            log._truncate(last + 1)
        return last

    follower.append_entries = append_entries
