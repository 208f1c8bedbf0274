"""The facts about all members that the invariants share, and the violations that they find."""

from __future__ import annotations

from collections.abc import Mapping

from splitbrain.harness.simulation.coverage import Coverage
from splitbrain.harness.simulation.member import Member
from splitbrain.harness.simulation.raft_invariants.observed_raft import ObservedRaft
from splitbrain.harness.simulation.virtual_loop import VirtualLoop

VIOLATIONS_MAX = 20


class Observations:
    """The members as they were after their last steps, and the entries that were committed."""

    def __init__(
        self, members: Mapping[str, Member], loop: VirtualLoop, coverage: Coverage
    ) -> None:
        self.members = members
        self.loop = loop
        self.coverage = coverage
        self.seen: dict[str, ObservedRaft] = {}
        """Maps the name of a member to its Raft as it was after its last step."""
        self.former: list[ObservedRaft] = []
        """Members that were removed, and whose machines now run other members."""
        self.committed: dict[int, int] = {}
        """Maps the index of each committed entry to its term at the member that committed it
        first."""
        self.last_committed = 0
        """The largest index that any member has committed."""
        self.committed_by: dict[int, int] = {}
        """Maps a term to the highest index that was first committed by a member in that term."""
        self.violations: list[str] = []
        """The violations as texts. Each text begins with the virtual time in seconds."""

    def violated(self, what: str) -> None:
        """Add a violation with the text `what`. At most `VIOLATIONS_MAX` violations are kept."""
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(f"{self.loop.time():.6f} s: {what}")
