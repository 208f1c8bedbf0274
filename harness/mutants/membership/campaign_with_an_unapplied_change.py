"""A member campaigns although it has not applied a committed change."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import CHANGES_AT_STEPS_HUNT, Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.log import Log

MUTANT = Mutant(
    what="a member campaigns with an outdated configuration",
    source="etcd-io/raft, hasUnappliedConfChanges (etcd issue 7625)",
    found_by=("invariants",),
    hunt=CHANGES_AT_STEPS_HUNT,
)


def plant() -> None:
    def has_unapplied_conf_change(log: Log) -> bool:
        return False

    election.has_unapplied_conf_change = has_unapplied_conf_change
