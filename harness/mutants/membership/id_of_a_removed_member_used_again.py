"""Bug: a new member with the URLs of a removed member gets the removed member's id."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node import cluster_service
from splitbrain.node.member_and_cluster_id import member_id

MUTANT = Mutant(
    what="the id of a new member depends only on its URLs",
    source="etcd's member ids, which contain the time of the addition; a removed id is never used "
    "again",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    def added_member_id(peer_urls: Sequence[str], request: int) -> int:
        return member_id(peer_urls, "etcd-cluster")

    cluster_service.added_member_id = added_member_id  # type: ignore[attr-defined]
