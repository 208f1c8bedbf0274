"""Bug: a change of the member list is not written to the backend."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node import membership
from splitbrain.node.backend import Backend
from splitbrain.node.messages.member_change import ClusterRecord

MUTANT = Mutant(
    what="a member forgets the changes of the members when it restarts or sends a snapshot",
    source="etcd's mustSaveMemberToBackend: members are stored with their entry",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    def store_record(backend: Backend, record: ClusterRecord) -> None:
        return

    membership.store_record = store_record  # type: ignore[attr-defined]
