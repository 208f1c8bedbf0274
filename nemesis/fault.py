"""Defines the faults as values. `splitbrain.nemesis.injection.inject.inject` injects them.

If the field `on` of a fault is not empty, the fault hits the members that `on` names, and `target`
is ignored. Otherwise `target` selects the members when the fault begins, because the leader is not
known when the schedule is drawn.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from splitbrain.nemesis.disk_fault import BitRot, DiskArea, DiskCrash, DiskFault, LostSectors
from splitbrain.nemesis.fault_target import CLIENTS, MemberName, Target
from splitbrain.nemesis.moment import Moment

PartitionShape = Literal[
    "isolate", "isolate_leader", "halves", "bridge", "ring", "one_way", "clients"
]
"""The links that a partition cuts. `target` selects members. isolate: the links between each
selected member and all others. isolate_leader: the links between the leader and all others. halves:
the links between a minority and a majority. bridge: the links between two halves; one member stays
connected to both. ring: each member stays connected to a majority, and no two members to the same
majority. one_way: the links from the selected members to the others. clients: the links between the
selected members and all clients. `splitbrain.nemesis.partition_shapes` computes the links."""

PARTITION_SHAPES: tuple[PartitionShape, ...] = (
    "isolate", "isolate_leader", "halves", "bridge", "ring", "one_way", "clients",
)


class Kill(msgspec.Struct, frozen=True, tag_field="fault", tag="kill"):
    """Send SIGKILL to members. Needs `Killable`.

    The fault is healed by a restart on the same data.
    """

    target: Target = "any"
    on: tuple[MemberName, ...] = ()


class Pause(msgspec.Struct, frozen=True, tag_field="fault", tag="pause"):
    """Send SIGSTOP to members. The fault is healed by SIGCONT. Needs `Pausable`."""

    target: Target = "any"
    on: tuple[MemberName, ...] = ()


class Partition(msgspec.Struct, frozen=True, tag_field="fault", tag="partition"):
    """Cut links between members. The fault is healed by opening the links. Needs `Partitionable`.

    With `how` set to `cut`, connections are closed and new ones are refused. With `black_hole`,
    connections stay open but no bytes pass.
    """

    shape: PartitionShape = "isolate"
    target: Target = "any"
    how: Literal["cut", "black_hole"] = "cut"
    on: tuple[MemberName, ...] = ()
    links: tuple[tuple[MemberName, MemberName], ...] = ()
    """The links to cut, each as source and target. If this is not empty, `shape`, `target` and `on`
    are ignored."""


class Latency(msgspec.Struct, frozen=True, tag_field="fault", tag="latency"):
    """Slow all links to and from members. Needs `Partitionable`.

    Each chunk of bytes is delayed by `delay_ms` plus or minus up to `jitter_ms`. Chunks stay in
    order. A link passes at most `rate_bytes_per_s` (0: no limit). The fault is healed by making the
    links normal again.
    """

    target: Target = "any"
    delay_ms: int = 50
    jitter_ms: int = 25
    rate_bytes_per_s: int = 0
    on: tuple[MemberName, ...] = ()


class PacketLoss(msgspec.Struct, frozen=True, tag_field="fault", tag="loss"):
    """Lose `percent` of the packets on all links to and from members. Needs `FaultyLinks`.

    TCP sends a lost packet again. A connection therefore stalls, and its bytes arrive late and in
    order. The fault is healed by making the links normal again.
    """

    target: Target = "any"
    percent: float = 10.0
    on: tuple[MemberName, ...] = ()


class Corruption(msgspec.Struct, frozen=True, tag_field="fault", tag="corruption"):
    """Flip one bit in `percent` of the packets on all links to and from members.

    TCP's checksum does not detect the change, so the receiving process reads the changed bytes.
    Needs `FaultyLinks`. The fault is healed by making the links normal again.
    """

    target: Target = "any"
    percent: float = 1.0
    on: tuple[MemberName, ...] = ()


class HalfOpen(msgspec.Struct, frozen=True, tag_field="fault", tag="half_open"):
    """Make members lose their connections to other members. The others do not notice the loss.

    The fault affects the connections that exist when it begins. The member's end is reset. The
    other end stays open: it accepts bytes, which are lost, and receives none. New connections are
    normal. The fault is healed by resetting the ends that are still open. Needs `FaultyLinks`.
    """

    target: Target = "any"
    on: tuple[MemberName, ...] = ()


class SlowReceiver(msgspec.Struct, frozen=True, tag_field="fault", tag="slow_receiver"):
    """Make members receive slowly from other members, and make their receive buffers small.

    A member receives at most `rate_bytes_per_s` from each other member, so that the buffers of the
    senders fill up. The bytes that the member sends are not slowed. Needs `FaultyLinks`. The fault
    is healed by making the links normal again.
    """

    target: Target = "any"
    rate_bytes_per_s: int = 16 * 1024
    on: tuple[MemberName, ...] = ()


class PowerLoss(msgspec.Struct, frozen=True, tag_field="fault", tag="power"):
    """Cut the power of members' machines at one moment. Needs `Powered` and `Killable`.

    All data that is not on the machines' disks is lost. The fault is healed by restarting the
    members on the data that remains.
    """

    target: Target = "any"
    on: tuple[MemberName, ...] = ()


class ClockJump(msgspec.Struct, frozen=True, tag_field="fault", tag="clock"):
    """Move members' wall clocks forward by `ahead_ms`, or back if `ahead_ms` is negative.

    The fault is healed by a jump of the same size in the other direction. Needs `Clocked` or
    `HasProcess`.
    """

    target: Target = "any"
    ahead_ms: int = 60_000
    on: tuple[MemberName, ...] = ()


class ClockDrift(msgspec.Struct, frozen=True, tag_field="fault", tag="drift"):
    """Run members' clocks and timers faster by `ppm` millionths, or slower if `ppm` is negative.

    The fault is healed by setting the clocks to the normal rate. The time that the clocks gained or
    lost is not corrected. Needs `Clocked` or `HasProcess`. If the members are real processes, only
    their wall clocks are changed.
    """

    target: Target = "any"
    ppm: int = 50_000
    on: tuple[MemberName, ...] = ()


StepAction = Literal["crash", "power", "pause", "sleep", "isolate"]
"""The action on a member at a step of the write path. crash: its process is killed. power: its
machine loses power, or its process is killed if the system cannot lose power. pause: the member is
paused. sleep: the member is delayed at the step. isolate: the member's links are cut."""

STEP_ACTIONS: tuple[StepAction, ...] = ("crash", "power", "pause", "sleep", "isolate")


class AtStep(msgspec.Struct, frozen=True, tag_field="fault", tag="step"):
    """Crash, pause, delay or isolate a member when it reaches a failpoint of the write path.

    `failpoint` is a name such as `before_leader_wal`. The failpoint of the selected members is set
    just before the operation with the number `operation` begins, or at `begin_ms` if `operation` is
    0. (`Schedule.operation_numbers` defines the numbers.) From then on, each selected member counts
    how often it reaches the failpoint. The fault hits the first member whose count reaches `visit`.

    The scheduled duration of the fault begins when the member reaches the failpoint. At its end the
    fault is healed as `do` requires: by a restart, by SIGCONT, or by opening the links. A fault at
    a step that is never reached has no effect.

    Needs `HasFailpoints`, and `Pausable`, `Killable` or `Partitionable` as `do` requires.
    """

    failpoint: str
    do: StepAction = "crash"
    operation: int = 0
    visit: int = 1
    target: Target = "any"
    on: tuple[MemberName, ...] = ()


WaitingFault = AtStep | DiskCrash
"""A fault that waits until a member reaches a place, and whose duration begins there."""


SyscallKind = Literal["sync", "write", "read", "open"]
"""A kind of system calls. sync: fdatasync, fsync, msync, sync_file_range. write: write, pwrite64,
writev, pwritev, pwritev2. read: the corresponding calls for read. open: open, openat."""

Errno = Literal["EIO", "ENOSPC", "EINTR", "EDQUOT", "EROFS", "EMFILE", "EAGAIN"]


class SyscallFault(msgspec.Struct, frozen=True, tag_field="fault", tag="syscall"):
    """Delay system calls of members' processes, make them fail, or kill a member at one of them.

    The fault affects the calls of the kind `call` on the files in `area`. If `path` is given, it
    affects the files of the member's data folder that match this pattern, such as
    `member/wal/*.wal`. The calls of all threads of a member are counted from the moment when the
    fault begins. The first `nth` - 1 calls are normal, and the next `times` calls are affected. If
    `times` is 0, all further calls are affected.

    `do` is one of three actions:

    - delay: each affected call takes `delay_ms` longer.
    - error: each affected call fails with `error` and has no effect.
    - kill: the member is killed when the call number `nth` begins, before the call has any effect.

    At the end of the fault, the calls are normal again, and a member that has ended is restarted.

    Needs `Traceable`; `kill` also needs `Killable`.
    """

    target: Target = "any"
    call: SyscallKind = "sync"
    do: Literal["delay", "error", "kill"] = "delay"
    area: DiskArea = "log"
    path: str = ""
    nth: int = 1
    times: int = 0
    delay_ms: int = 0
    error: Errno = "EIO"
    on: tuple[MemberName, ...] = ()


class CpuStarvation(msgspec.Struct, frozen=True, tag_field="fault", tag="cpu"):
    """Stop and continue members' processes, so that they run only `percent` of the time.

    Each process is stopped and continued ten times a second. Needs `HasProcess`.
    """

    target: Target = "any"
    percent: int = 20
    on: tuple[MemberName, ...] = ()


class FewFiles(msgspec.Struct, frozen=True, tag_field="fault", tag="files"):
    """Let members' processes open at most `spare` more files or connections. Needs `HasProcess`.

    Further calls fail with EMFILE. At the end of the fault, the old limit is set again, and a
    member that has ended is restarted.
    """

    target: Target = "any"
    spare: int = 0
    on: tuple[MemberName, ...] = ()


class LittleMemory(msgspec.Struct, frozen=True, tag_field="fault", tag="memory"):
    """Limit members' address space to `spare_bytes` more than now. Needs `HasProcess`.

    Further allocations fail with ENOMEM, and most programs then end. At the end of the fault, the
    old limit is set again, and a member that has ended is restarted.
    """

    target: Target = "any"
    spare_bytes: int = 0
    on: tuple[MemberName, ...] = ()


class BlockedLog(msgspec.Struct, frozen=True, tag_field="fault", tag="log"):
    """Fill the pipes into which members write their logs, and stop reading them.

    A member blocks at its next line of the log. Most programs hold a lock while they write a line,
    so that their other threads block, too. The fault is healed by reading the pipes again. Needs
    `LogBlockable`.
    """

    target: Target = "any"
    on: tuple[MemberName, ...] = ()


OperatorDo = Literal["defragment", "snapshot", "move_leader", "restart"]
"""An operator's action. defragment: a member rewrites its backend. snapshot: a snapshot is read.
move_leader: the leader transfers its leadership to the member. restart: the members restart one by
one."""


class OperatorAction(msgspec.Struct, frozen=True, tag_field="fault", tag="operator"):
    """Execute an operator's action on each selected member in turn. Needs `Maintainable`.

    The action begins when the fault begins, and runs in the background. The end of the fault waits
    for it. A refused action has no effect.
    """

    target: Target = "any"
    do: OperatorDo = "defragment"
    on: tuple[MemberName, ...] = ()


class Upgrade(msgspec.Struct, frozen=True, tag_field="fault", tag="upgrade"):
    """Restart members one after the other with another program. Needs `Upgradable`.

    Each member starts on the data that the former program has written. The upgrade runs in the
    background. At the end of the fault, the members restart one after the other with the former
    program again.
    """

    target: Target = "all"
    on: tuple[MemberName, ...] = ()


class Authentication(msgspec.Struct, frozen=True, tag_field="fault", tag="auth"):
    """Enable authentication by requests to a member, and disable it at the end of the fault.

    Meanwhile the store refuses requests without a user. If `changes` is True, users, roles and
    permissions change during the fault. Needs `Authenticates`.
    """

    target: Target = "any"
    changes: bool = False
    on: tuple[MemberName, ...] = ()


class NoSpace(msgspec.Struct, frozen=True, tag_field="fault", tag="space"):
    """Raise the alarm NOSPACE, or start members with a quota that is used up. Needs `Limitable`.

    A store with the alarm refuses puts. The fault is healed by a restart with the former quota, and
    by clearing all alarms.
    """

    target: Target = "any"
    do: Literal["alarm", "quota"] = "alarm"
    on: tuple[MemberName, ...] = ()


class Restoration(msgspec.Struct, frozen=True, tag_field="fault", tag="restore"):
    """Stop all members, and restore each of them from the same snapshot. Needs `Restorable`.

    The snapshot is taken while no client can reach the members. At the end of the fault the members
    start on the restored data.
    """

    target: Target = "all"
    on: tuple[MemberName, ...] = ()


class UserFault(msgspec.Struct, frozen=True, tag_field="fault", tag="user"):
    """A fault whose class the user has written; `splitbrain.nemesis.user_fault` describes it."""

    target: Target = "any"
    path: str = ""
    """The dotted path of the class, `package.module:Class`."""
    fields: dict[str, Any] = {}
    """The arguments of the class's constructor by name, with plain values."""
    on: tuple[MemberName, ...] = ()


class MembershipChange(msgspec.Struct, frozen=True, tag_field="fault", tag="members"):
    """Remove members, and add new members with empty disks in their places. Needs `Resizable`.

    A place is the name and the addresses of a member. `do` is one of two actions:

    - replace: the new member is added as soon as the old one is removed.
    - remove: the place stays empty until the end of the fault.

    With `learner`, the new member is added as a learner, and promoted when it has caught up. With
    `contended`, other changes are requested at the same time as each change. In some tries, a
    transfer of the leadership is requested, too.

    A change that the cluster refuses is requested again. The changes run in the background. The end
    of the fault waits until each place has a voter that serves. If an earlier fault of this kind
    has left a place without such a voter, the fault has no effect.
    """

    target: Target = "any"
    do: Literal["replace", "remove"] = "replace"
    learner: bool = False
    contended: bool = False
    on: tuple[MemberName, ...] = ()


class JointChange(msgspec.Struct, frozen=True, tag_field="fault", tag="joint"):
    """Make voters learners by joint consensus, and voters again at the end of the fault.

    With `explicit`, the configuration stays joint until the end of the fault. Otherwise the leader
    leaves it at once. Needs `JointlyResizable`.
    """

    target: Target = "any"
    explicit: bool = False
    on: tuple[MemberName, ...] = ()


class LeaderTransfer(msgspec.Struct, frozen=True, tag_field="fault", tag="transfer"):
    """Transfer the leadership to each selected member in turn. Needs `Transferable`.

    The transfers run in the background. A transfer that the leader refuses has no effect.
    """

    target: Target = "follower"
    on: tuple[MemberName, ...] = ()


Fault = (
    Kill | Pause | Partition | Latency | PacketLoss | Corruption | HalfOpen | SlowReceiver
    | PowerLoss | ClockJump | ClockDrift | DiskFault | BitRot | LostSectors | AtStep
    | DiskCrash | SyscallFault | CpuStarvation | FewFiles | LittleMemory | BlockedLog
    | OperatorAction | Upgrade | Authentication | NoSpace | Restoration | UserFault
    | MembershipChange | JointChange | LeaderTransfer
)


LinkFault = Partition | Latency | PacketLoss | Corruption | HalfOpen | SlowReceiver
"""A fault of links between members."""


def reaches_clients(fault: object) -> bool:
    """Return whether `fault` affects links between members and clients."""
    return isinstance(fault, Partition) and (
        fault.shape == "clients" if not fault.links
        else any(CLIENTS in link for link in fault.links)
    )


class ScheduledFault(msgspec.Struct, frozen=True):
    """A fault and the time in which it is in force, in ms since the load began."""

    begin_ms: int
    end_ms: int
    fault: Fault
    seed: int
    """The seed of the draws at the beginning of the fault, such as the choice of members."""
    when: Moment | None = None
    """If given, the fault does not begin at `begin_ms`, but at this moment after `begin_ms`. It
    still lasts for `end_ms` - `begin_ms`. If the moment never comes, the fault has no effect."""
