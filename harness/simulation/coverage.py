"""The list of conditions that some runs of a campaign should reach, and a count of each.

A condition is a situation such as "a leader was killed". The simulated world and `raft_invariants/`
observe the conditions from outside the members. A condition that no run reaches shows what the
campaign does not test.

Source: Antithesis's `sometimes` assertions; FoundationDB's coverage by TEST macros.
"""

from __future__ import annotations

from collections.abc import Callable

ELECTIONS = (
    "a second term began",
    "a candidate yielded to another leader",
    "a candidate tried again in a further term",
    "a pre-candidate gave up",
    "a leader stepped down",
    "two members led at once, in different terms",
)
LOGS = (
    "a deposed leader had uncommitted entries",
    "a deposed leader appended more entries",
    "a leader began with uncommitted entries of an earlier term",
    "entries of an earlier term were committed with one of the leader's own",
    "a log was truncated",
    "a log was compacted",
    "a follower restored a snapshot",
    "a restored snapshot ended before the follower's log did",
    "a follower lagged by 50 entries",
    "a follower was sent a snapshot",
    "a follower was probed",
    "a follower's entries waited for its disk when a commit came",
)
RESTARTS = (
    "a member was killed while it started",
    "a member restarted and its backend lacked entries of its log",
    "a member restarted and its backend lacked nothing",
    "a member restarted and its backend held entries of its log",
    "a member restarted from a snapshot",
    "a majority was down at once",
    "all members were down at once",
    "a leader was killed",
    "a paused leader resumed after it was deposed",
    "a paused member found work waiting",
    "a member was paused at a step",
)
DISKS = (
    "power was lost with unsynced writes in a file",
    "power was lost with unsynced changes in a directory",
    "power was lost on several machines at once",
    "a commit to the backend was interrupted, and took effect",
    "a commit to the backend was interrupted, and did not take effect",
    "a log continued in another segment",
    "a segment of a log was removed",
    "a sync failed",
    "a write failed",
    "a disk was full",
    "a member stopped for its disk",
)
DISK_CRASHES = tuple(
    f"a member crashed at a disk operation: {call}"
    for call in ("create", "write", "sync", "rename", "remove", "sync_directory", "commit")
)
STORAGE_FAULTS = (
    "a bit flipped on a disk",
    "a disk lost synced sectors",
    "a sync reported success without an effect",
    "a write went to a wrong place",
    "a write was torn",
    "a member began its log anew",
    "a member began its log and its backend anew",
    "a member recovered all log entries that its disk had lost",
)
NETWORKS = (
    "a connection broke with frames in flight",
    "frames were held back and came late",
    "a frame was lost",
    "a frame overtook another",
    "a frame came long after later ones",
    "a frame waited for a retransmission",
    "a dial was refused",
    "a dial ran into its timeout",
    "a connection outlived its listener's machine",
    "a frame was corrupted",
    "a connection became half-open",
)
CLIENTS = (
    "a request found no listening process",
    "a request found a machine without power",
    "a member ended with a request in flight",
    "a client cancelled a request in flight",
    "a member refused a request",
    "a read was sent to a deposed leader",
)
STORES = (
    "a transaction took its first branch",
    "a transaction took its second branch",
    "a delete found nothing",
    "a delete took several keys",
    "a read was of an earlier revision",
    "a read was cut by its limit",
    "a read of a compacted revision was refused",
    "a read of a future revision was refused",
    "history was compacted",
)
WATCHES = (
    "a watch began in the past",
    "a watch waited for a future revision",
    "a watch was cancelled by a compaction",
    "a watch received a progress notification",
    "a watch waited for a slow reader",
    "a client asked for progress in the middle of a stream",
    "the events of a watch came in fragments",
    "a watch was cancelled while others went on",
)
LEASES = (
    "a new leader started leases again",
    "the time of a lease ran out",
    "a remaining time was recorded",
    "a keep-alive replaced a recorded time",
    "a keep-alive waited for the end of an expired lease",
    "a member asked the leader about a lease",
    "a lease was not found",
    "a client left the queue of a lock or an election",
)
MEMBERS = (
    "a member was removed",
    "a member got another peer URL",
    "a voter was added",
    "a learner was added",
    "a learner was promoted",
    "a joint configuration was entered",
    "the leadership was transferred",
)
CLOCKS = (
    "a wall clock went back",
    "a clock drifted",
)
BUGGIFIED = tuple(
    f"buggify: {place}"
    for place in (
        "a frame finds its queue full",
        "tiny snapshot chunks",
        "a snapshot's queue is short",
        "the inbox is full",
        "a short apply queue",
        "few entries may wait to be applied",
        "the backend is flushed at once",
        "tiny appends",
        "few appends in flight",
        "few committed entries at once",
        "snapshots are given up soon",
        "snapshots go before entries",
        "a short election timeout",
        "a batch waits to be applied",
        "the log is slow to write",
        "a snapshot is slow to leave",
        "a snapshot is slow to write",
        "a snapshot is sent twice",
        "a watcher's buffer is small",
        "a watch's answer is cut early",
        "a watch stream's queue is short",
        "a watch catches up in small pieces",
        "events wait in a watcher's buffer",
        "few leases end at once",
        "few compacted changes are removed at once",
        "other tasks run between two entries",
    )
)

CONDITIONS: tuple[str, ...] = (
    *ELECTIONS, *LOGS, *RESTARTS, *DISKS, *DISK_CRASHES, *STORAGE_FAULTS, *NETWORKS, *CLIENTS,
    *STORES, *WATCHES, *LEASES, *MEMBERS, *CLOCKS, *BUGGIFIED,
)


class Coverage:
    """How often a run reached each condition, and when it first did.

    `now_s` returns the virtual time in seconds.
    """

    def __init__(self, now_s: Callable[[], float] = lambda: 0.0) -> None:
        self.counts: dict[str, int] = dict.fromkeys(CONDITIONS, 0)
        self.first_s: dict[str, float] = {}
        """The time at which each condition was first reached, in seconds of virtual time.
        Conditions that were not reached are missing; the others are in the order of their times."""
        self._now_s = now_s

    def reached(self, condition: str) -> None:
        """Count one occurrence of `condition`.

        Raises KeyError if the condition is not in CONDITIONS. All conditions must be in this list:
        the summary of a campaign reports each condition of the list that no run reached.
        """
        if not self.counts[condition]:
            self.first_s[condition] = self._now_s()
        self.counts[condition] += 1

    def sometimes(self, condition: str, occurred: bool) -> None:
        """Count an occurrence of `condition` if `occurred` is True."""
        if occurred:
            self.reached(condition)
