"""Defines the capabilities of systems under test that the injectors of faults use.

Each capability is a small optional protocol. A system supports a kind of fault if its class has the
methods of the protocol that `splitbrain.nemesis.fault_kinds.FaultKind.needs` names. The protocols
are part of the nemesis and not of the harness, because the injectors need them and use nothing else
of a system. `splitbrain.harness.systems.system` re-exports the protocols.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from splitbrain.nemesis.disk_fault import DiskArea, DiskCrash, DiskState
from splitbrain.nemesis.fault import OperatorDo
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.moment import MomentEvent


class LinkState(msgspec.Struct, frozen=True):
    """The state of the directed link from one member to another.

    With `black_hole`, connections stay open and no bytes pass. If `open` is False on both links of
    a pair, the pair's connections are broken and new ones are refused. If `open` is False on only
    one link of a pair, this link acts as with `black_hole`, because a TCP connection cannot be
    broken in one direction. Bytes that a link kept back arrive late and in order when the link is
    normal again, as after TCP's retransmission.

    Each chunk of bytes is delayed by `delay_ms` plus or minus up to `jitter_ms`. Chunks of a
    connection stay in order. All connections of the link together pass at most `rate_bytes_per_s`
    (0: no limit). If `buffer_bytes_max` is not 0, a connection keeps at most about this many bytes
    that the target has not received yet, and then reads no more from the source.

    `lost_percent` of the packets are lost and sent again by TCP, so they arrive late. In
    `corrupt_percent` of the packets, one bit is flipped, and no checksum of the network shows it.

    With `half_open`, the source loses its connections to and from the target when the state begins.
    The source's ends are reset. The target's ends stay open, so the target notices nothing, and the
    bytes that the target sends are discarded. When the state ends, the target's ends are reset,
    too.
    """

    open: bool = True
    black_hole: bool = False
    delay_ms: int = 0
    jitter_ms: int = 0
    rate_bytes_per_s: int = 0
    buffer_bytes_max: int = 0
    lost_percent: float = 0.0
    corrupt_percent: float = 0.0
    half_open: bool = False


NORMAL = LinkState()
"""The state of a link that no fault affects."""


class HasLeader(Protocol):
    """A cluster with named members and at most one leader. Every fault needs this protocol."""

    @property
    def members(self) -> Sequence[MemberName]: ...

    async def leader(self) -> MemberName | None:
        """Return the leader of the highest term that a member reports now; None if unknown."""
        ...


@runtime_checkable
class Killable(Protocol):
    """A system whose members can be killed and restarted."""

    async def kill(self, member: MemberName) -> None:
        """Send SIGKILL to the member's process. Has no effect if the member does not run."""
        ...

    async def restart(self, member: MemberName) -> None:
        """Start a killed member again with the data on its disk.

        Returns when the member's process runs, which may be before the member serves requests.
        """
        ...


@runtime_checkable
class Pausable(Protocol):
    """A system whose members can be paused and resumed."""

    async def pause(self, member: MemberName) -> None:
        """Send SIGSTOP to the member. Has no effect if the member does not run."""
        ...

    async def resume(self, member: MemberName) -> None:
        """Send SIGCONT. Has no effect if the member is not paused or does not run."""
        ...


@runtime_checkable
class Partitionable(Protocol):
    """A system whose links between members can be cut and slowed."""

    async def set_link(self, source: MemberName, target: MemberName, state: LinkState) -> None:
        """Set the state of the link from `source` to `target`.

        The state is in force when the method returns.
        """
        ...


@runtime_checkable
class CountsLinkEffects(Protocol):
    """A system that counts what faults of its links have changed."""

    def link_effects(self, source: MemberName, target: MemberName) -> int:
        """Return how many frames and connections the faults of the link have changed so far.

        A frame is a message, or a part of a stream that the system forwards in one piece. A frame
        or connection was changed if it was held back, delayed, corrupted, lost or broken.
        """
        ...


@runtime_checkable
class FaultyLinks(Partitionable, CountsLinkEffects, Protocol):
    """A system whose `set_link` applies every field of `LinkState`, and counts the effects."""


@runtime_checkable
class CountsDiskEffects(Protocol):
    """A system that counts what faults of its disks have changed."""

    def disk_effects(self, member: MemberName) -> int:
        """Return how many reads, writes and syncs the faults of the member's disk have changed.

        A call was changed if it failed, was slowed down or was falsified.
        """
        ...


@runtime_checkable
class CountsEffects(CountsLinkEffects, CountsDiskEffects, Protocol):
    """A system that counts the effects of its link and disk faults, such as dropped bytes.

    The nemesis reports a fault without an effect.
    """


@runtime_checkable
class Powered(Protocol):
    """A system whose machines can lose power."""

    async def lose_power(self, members: Sequence[MemberName]) -> None:
        """Cut the power of all `members` at one moment.

        The members' processes, their page caches and all data that is not on their disks are lost.
        `Killable.restart` starts each of the members again.
        """
        ...


@runtime_checkable
class Clocked(Protocol):
    """A system whose clocks can be changed."""

    async def jump_clock(self, member: MemberName, ahead_ms: int) -> None:
        """Move the member's wall clock forward by `ahead_ms`, or back if it is negative."""
        ...

    async def drift_clock(self, member: MemberName, ppm: int) -> None:
        """Run all the member's clocks faster by `ppm` millionths.

        With a negative `ppm` they run slower, and with 0 at the normal rate.
        """
        ...


@runtime_checkable
class Disked(Protocol):
    """A system whose disks can fail, fill up, slow down and falsify writes."""

    async def set_disk(self, member: MemberName, state: DiskState) -> None:
        """Set the state of the member's disk. The state is in force when the method returns."""
        ...

    async def revive(self, member: MemberName) -> None:
        """Restart the member if it has stopped because of its disk, as a supervisor does."""
        ...


@runtime_checkable
class Corruptible(Protocol):
    """A system whose disks can change or lose data that they have reported as durable."""

    async def rot(self, member: MemberName, area: DiskArea, bits: int) -> str:
        """Flip `bits` durable bits of one sector of a file in `area`.

        Returns a text that names the place, or "" if there is nothing to change.
        """
        ...

    async def lose_sectors(self, member: MemberName, area: DiskArea, sectors: int) -> str:
        """Damage a file in `area`: up to `sectors` durable sectors get back an earlier content.

        Returns a text that names the place, or "" if there is no earlier content. The page cache
        keeps the newer content, so the member does not notice the damage before a power loss.
        """
        ...


@runtime_checkable
class CrashesAtDiskCalls(Killable, Protocol):
    """A system whose members can end at an exact operation of their disks."""

    async def crash_at_disk_call(self, member: MemberName, crash: DiskCrash) -> None:
        """Wait until the member's disk reaches the operation that `crash` describes.

        The process of the member has then ended at this operation. The fields `target`, `on` and
        `again` of `crash` are ignored. If the call is cancelled, the member does not crash.
        """
        ...


@runtime_checkable
class HasFailpoints(Protocol):
    """A system whose members have failpoints at the steps of the write path.

    A failpoint is set to a term, which defines what happens there, such as `pause` or `sleep(10)`;
    `splitbrain.node.failpoint` describes the terms.
    """

    async def set_failpoint(self, member: MemberName, failpoint: str, term: str) -> None:
        """Set `failpoint` of the member to `term`, such as `pause`.

        Raises FaultError if there is no such failpoint, or if the member does not answer.
        """
        ...

    async def clear_failpoint(self, member: MemberName, failpoint: str) -> None:
        """Clear `failpoint` of the member.

        Has no effect on a member that does not answer. A restart clears all failpoints.
        """
        ...

    async def wait_until_paused_at(self, member: MemberName, failpoint: str) -> None:
        """Wait until the member is paused at `failpoint`, which was set to the term `pause`."""
        ...


@runtime_checkable
class HasProcess(Protocol):
    """A system whose members are processes of this machine."""

    def pid(self, member: MemberName) -> int | None:
        """Return the process id of the member, or None if the member does not run."""
        ...


@runtime_checkable
class LogBlockable(Protocol):
    """A system whose members write their logs into pipes."""

    def block_log(self, member: MemberName) -> None:
        """Stop reading the pipe of the member's log, and fill the pipe."""
        ...

    def unblock_log(self, member: MemberName) -> None:
        """Continue to read the pipe of the member's log."""
        ...

    def waits_for_log(self, member: MemberName) -> bool:
        """Return whether a thread of the member waits because it cannot write into its pipe."""
        ...


class Serving(Protocol):
    """A system that can tell whether a member serves requests."""

    async def serves(self, member: MemberName) -> bool:
        """Return whether the member answers and knows a leader."""
        ...


@runtime_checkable
class Maintainable(Serving, Protocol):
    """A system whose running members an operator can maintain, for example by a defragmentation."""

    async def maintain(self, member: MemberName, action: OperatorDo) -> None:
        """Execute the operator's action `action` at the member. `action` is never `restart`.

        Raises an error if the member refuses the action.
        """
        ...


@runtime_checkable
class Upgradable(Serving, Protocol):
    """A system whose members can be started with another program, such as another etcd release."""

    def use_other_program(self, member: MemberName, *, other: bool) -> None:
        """Choose the program with which the member starts next time.

        If `other` is True, this is the other program. Otherwise it is the original program. Raises
        FaultError if there is no other program.
        """
        ...


@runtime_checkable
class Authenticates(Protocol):
    """A cluster with users. Each method asks the member `at`, and may raise FaultError."""

    async def enable_authentication(self, at: MemberName) -> None: ...

    async def disable_authentication(self, at: MemberName) -> None: ...

    async def change_users(self, at: MemberName, number: int) -> None:
        """Add the user and the role with the number `number`, change them, and delete them."""
        ...


@runtime_checkable
class Limitable(Serving, Protocol):
    """A cluster whose members have quotas and alarms. The methods raise FaultError."""

    async def raise_alarm(self, member: MemberName) -> None:
        """Raise the alarm NOSPACE of the member by a request."""
        ...

    async def clear_alarms(self, at: MemberName) -> None:
        """Clear the alarms of all members by requests to the member `at`."""
        ...

    async def use_up_quota(self, member: MemberName) -> None:
        """Set the member's quota to the present size of its backend, from its next start on."""
        ...

    def restore_quota(self, member: MemberName) -> None:
        """Set the member's quota to its original value, from its next start on."""
        ...


@runtime_checkable
class Restorable(Protocol):
    """A cluster whose members can be restored from a snapshot."""

    async def restore_snapshot(self) -> None:
        """Take a snapshot that contains all acknowledged writes, and restore each member from it.

        Call this method when no member runs. When it returns, no member runs either. If it raises
        FaultError, the members still have their former data.
        """
        ...


class ListedMember(msgspec.Struct, frozen=True):
    """An entry of the cluster's member list: the id of a member, and whether it is a learner."""

    id: int
    is_learner: bool = False


@runtime_checkable
class Resizable(Protocol):
    """A cluster whose members can be removed and added while it runs.

    In this protocol a member's name is the name of a place: a machine with addresses. After a
    removal, a new member in the place has the same addresses and another id. The requests are sent
    to the member `at`. They raise FaultError if this member refuses or does not answer. Without an
    answer, the request may still take effect.
    """

    async def list_members(
        self, at: MemberName, *, linearizable: bool = True
    ) -> Mapping[MemberName, ListedMember]:
        """Read the member list, linearizably or as the member `at` knows it."""
        ...

    async def add_member(self, at: MemberName, member: MemberName, *, learner: bool) -> None:
        """Ask `at` to add a member in the place `member`, as a learner if `learner` is True."""
        ...

    async def remove_member(self, at: MemberName, listed: ListedMember) -> None:
        """Ask `at` to remove the member `listed` from the cluster."""
        ...

    async def promote_member(self, at: MemberName, listed: ListedMember) -> None:
        """Ask `at` to make the learner `listed` a voter."""
        ...

    async def update_member(self, at: MemberName, member: MemberName, listed: ListedMember) -> None:
        """Ask `at` to update the peer URLs of the member `listed`, which is in the place `member`.

        The new URLs lead to the same member. They may be the ones that it already has.
        """
        ...

    async def clear_member(self, member: MemberName) -> None:
        """Durably delete the data of a removed member.

        Until `fill_member` is called, no other method starts a process in its place. Raises
        FaultError if the data cannot be deleted. The caller then repeats the call.
        """
        ...

    async def fill_member(self, member: MemberName, *, start: bool) -> None:
        """Allow a new member in the place `member`, whose former member was removed.

        The new member joins the cluster when it starts. If `start` is True, this method starts it,
        unless it already runs.
        """
        ...

    def membership_changes(self, member: MemberName, *, settled: bool) -> None:
        """Note a change in the place `member`.

        If `settled` is False, a change begins. If it is True, the place has a voter again.
        """
        ...

    def membership_lost(self, member: MemberName, why: str) -> None:
        """Note that no voter serves in the place `member`, although all faults are healed.

        The method raises FaultError, or records the failure. `why` is the reason in words.
        """
        ...


@runtime_checkable
class JointlyResizable(Protocol):
    """A cluster whose configuration can be changed by joint consensus."""

    async def change_jointly(
        self, members: Sequence[MemberName], *, voters: bool, explicit: bool
    ) -> None:
        """Make `members` voters through a joint configuration; learners if `voters` is False.

        With `explicit`, returns when the cluster has entered the joint configuration. Otherwise
        returns when the cluster has left it. Returns at once if nothing has to change. Raises
        FaultError if the change is impossible at present.
        """
        ...

    async def leave_joint(self) -> None:
        """Leave the joint configuration, if the cluster is in one. Raises FaultError."""
        ...

    def membership_changes(self, member: MemberName, *, settled: bool) -> None: ...

    def membership_lost(self, member: MemberName, why: str) -> None: ...


@runtime_checkable
class Transferable(Protocol):
    """A cluster whose leadership can be transferred."""

    async def transfer_leadership(self, member: MemberName) -> None:
        """Ask the leader to transfer its leadership to `member`, and wait until this is done.

        Raises FaultError if the leader refuses, or does not succeed.
        """
        ...


@runtime_checkable
class HasMoments(Protocol):
    """A system that counts events, such as elections, so that faults can begin at such events."""

    def occurrences(self, event: MomentEvent) -> int | None:
        """Return how often the event has happened so far on all members; None if unknown."""
        ...


@runtime_checkable
class Traceable(HasProcess, Protocol):
    """A system whose members are processes of this machine, and whose files can be listed."""

    def files(self, member: MemberName, area: DiskArea, pattern: str = "") -> Sequence[Path]:
        """Return the existing files of the member in `area`.

        With a `pattern`, returns the files in the data folder that match it, and ignores `area`.
        Raises FaultError if the store of the member has no such area.
        """
        ...
