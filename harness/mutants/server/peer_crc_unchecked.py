"""Bug: a member accepts every frame of a peer without a check of its CRC."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node import peer_frame

MUTANT = Mutant(
    what="a message between members whose bits were flipped on the way is accepted",
    source="Stone and Partridge, When the CRC and TCP Checksum Disagree, SIGCOMM 2000",
    found_by=("mvcc", "linearizable", "invariants", "raft_safety", "write_path"),
    hunt={"nemesis": ("corruption",)},
)


def plant() -> None:
    peer_frame.intact = lambda payload, checksum: True
