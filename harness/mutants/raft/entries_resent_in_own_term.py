"""Bug: a leader sends entries of earlier terms with its own term."""

from __future__ import annotations

import msgspec

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.message import Message, MessageType
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="the term of an entry changes when another leader replicates it",
    source="Raft paper, 5.4.2: entries keep their original term numbers; camunda/camunda issue"
    " 5360",
    found_by=("invariants", "write_path"),
)


def plant() -> None:
    original = RaftState.send

    def send(self: RaftState, message: Message) -> None:
        if message.type is MessageType.APP and message.entries:
            entries = tuple(
                msgspec.structs.replace(entry, term=message.term) for entry in message.entries
            )
            message = msgspec.structs.replace(message, entries=entries)
        original(self, message)

    RaftState.send = send  # type: ignore[method-assign]
