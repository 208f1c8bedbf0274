"""The kinds of faults that a schedule can contain, by the names that a user types."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from splitbrain.nemesis.capabilities import (
    Authenticates,
    Clocked,
    Corruptible,
    CrashesAtDiskCalls,
    Disked,
    FaultyLinks,
    HasFailpoints,
    HasProcess,
    JointlyResizable,
    Killable,
    Limitable,
    LogBlockable,
    Maintainable,
    Partitionable,
    Pausable,
    Powered,
    Resizable,
    Restorable,
    Traceable,
    Transferable,
    Upgradable,
)
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.linux import mounts, process_clock, strace
from splitbrain.nemesis.user_fault import is_user_kind

LINK_KINDS = ("partition", "latency", "loss", "corruption", "half_open", "slow_receiver")
"""The kinds that affect links between members. A cluster of one member has no such links."""

NONE = "none"
"""The name that selects no faults."""


def _nothing() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault: its name, a description in one line, and its requirements."""

    name: str
    description: str
    needs: type | tuple[type, ...]
    """The protocol (see `capabilities.py`) that a system must have to support the kind. If this is
    a tuple, one of its protocols is sufficient."""
    needs_failpoints: bool = False
    """True if real processes support the kind only with failpoints; "all" does not include it."""
    processes_only: bool = False
    """True if only systems of real processes support the kind; "all" does not include it."""
    named_only: bool = False
    """True if "all" does not include the kind for another reason."""
    requires: str = ""
    """What the machine must have if the system consists of real processes, in words; "" for
    nothing. "all" does not include a kind that needs something."""
    missing: Callable[[], str] = _nothing
    """A function that returns why this machine cannot inject the kind into real processes; "" if it
    can."""

    @property
    def common(self) -> bool:
        """Return whether the selection "all" includes the kind.

        The selection "all" consists of the kinds that all stores support, if they run as processes.
        """
        return not (
            self.needs_failpoints or self.processes_only or self.requires or self.named_only
        )

    @property
    def protocols(self) -> str:
        """Return the names of the protocols in words. The system must have at least one of them."""
        needs = self.needs if isinstance(self.needs, tuple) else (self.needs,)
        return " or ".join(protocol.__name__ for protocol in needs)


KINDS: dict[str, FaultKind] = {
    kind.name: kind
    for kind in (
        FaultKind("kill", "send SIGKILL to members; they restart on the same data", Killable),
        FaultKind("pause", "send SIGSTOP to members; they continue with SIGCONT", Pausable),
        FaultKind(
            "partition",
            "cut links between members, or let no bytes through: isolate a member or the "
            "leader, halves, bridge, ring of majorities, one-way",
            Partitionable,
        ),
        FaultKind("latency", "slow links: delay, jitter, limited rate", Partitionable),
        FaultKind(
            "loss", "links lose packets, which TCP sends again", FaultyLinks, named_only=True
        ),
        FaultKind(
            "corruption",
            "links flip bits, and TCP's checksum does not show it; a store without checksums of "
            "its own does not survive it",
            FaultyLinks, named_only=True,
        ),
        FaultKind(
            "half_open",
            "members lose their connections, and the other ends stay open without notice",
            FaultyLinks, named_only=True,
        ),
        FaultKind(
            "slow_receiver", "members receive slowly, so that the senders' buffers fill up",
            FaultyLinks, named_only=True,
        ),
        FaultKind(
            "power", "machines lose power and everything that is not on their disks", Powered,
            requires=mounts.REQUIRES, missing=mounts.fuse_missing,
        ),
        FaultKind(
            "clock", "wall clocks jump forward or back", (Clocked, HasProcess),
            requires=process_clock.REQUIRES, missing=process_clock.missing,
        ),
        FaultKind(
            "drift", "clocks run too fast or too slowly; of processes, wall clocks",
            (Clocked, HasProcess), requires=process_clock.REQUIRES, missing=process_clock.missing,
        ),
        FaultKind(
            "disk", "disks are slow or full, or writes and syncs fail", Disked,
            requires=mounts.REQUIRES, missing=mounts.fuse_missing,
        ),
        FaultKind(
            "storage",
            "disks of a minority lose or change synced data: bit rot, lost sectors, lying syncs, "
            "misdirected and torn writes",
            Corruptible, requires=mounts.REQUIRES, missing=mounts.fuse_missing,
        ),
        FaultKind(
            "step", "members crash, pause or are cut off at a step of the write path",
            HasFailpoints, needs_failpoints=True,
        ),
        FaultKind(
            "disk_crash",
            "members crash or lose power just before or after an operation of their disks, such as "
            "a rename, and again while they restart; only in simulation",
            CrashesAtDiskCalls, named_only=True,
        ),
        FaultKind(
            "members",
            "members are removed, and new ones with empty disks are added in their places, as "
            "voters or as learners that are promoted",
            Resizable, named_only=True,
        ),
        FaultKind(
            "transfer", "the leadership is transferred to another member", Transferable,
            named_only=True,
        ),
        FaultKind(
            "joint",
            "voters become learners and voters again, by joint consensus; only in simulation",
            JointlyResizable, named_only=True,
        ),
        FaultKind(
            "syscall",
            "system calls of members are slow or fail, or a member is killed at one: syncs and "
            "writes of the log and the backend",
            Traceable, processes_only=True, requires="strace", missing=strace.missing,
        ),
        FaultKind(
            "operator",
            "an operator's actions: defragment, read a snapshot, move the leader, rolling restart",
            Maintainable, processes_only=True,
        ),
        FaultKind(
            "upgrade",
            "the members restart one by one with another release, and then with the former one "
            "again; of etcd, --other-binary names it",
            Upgradable, processes_only=True,
        ),
        FaultKind(
            "auth",
            "authentication is enabled for a time, so that requests without a user are refused; "
            "users, roles and permissions change",
            Authenticates, processes_only=True,
        ),
        FaultKind(
            "space",
            "the alarm NOSPACE is raised, or members restart with a quota that is used up",
            Limitable, processes_only=True,
        ),
        FaultKind(
            "restore",
            "all members are stopped and restored from a snapshot; needs etcdutl or etcdctl beside "
            "the binary of etcd",
            Restorable, processes_only=True,
        ),
        FaultKind(
            "cpu", "members' processes run for only a part of the time", HasProcess,
            processes_only=True,
        ),
        FaultKind(
            "memory", "members' processes can allocate little more memory", HasProcess,
            processes_only=True,
        ),
        FaultKind(
            "files", "members' processes can open few more files and connections", HasProcess,
            processes_only=True,
        ),
        FaultKind(
            "log", "the pipes into which members write their logs are full and are not read",
            LogBlockable, processes_only=True,
        ),
    )
}


def parse_kinds(text: str) -> tuple[str, ...]:
    """Return the kinds of faults that `text` names: a list such as "kill,pause", "all" or "none".

    Raises FaultError for a name that is not a kind of fault.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return tuple(name for name, kind in KINDS.items() if kind.common)
    if names in ([NONE], []):
        return ()
    check_known(names)
    return tuple(dict.fromkeys(names))


def check_known(names: Sequence[str]) -> None:
    """Raise FaultError for a name that is neither a kind of fault nor a dotted path to a class."""
    for name in names:
        if name not in KINDS and not is_user_kind(name):
            raise FaultError(
                f"no fault is called {name!r}: expected {', '.join(KINDS)} (one or several, "
                f"separated by commas), all, {NONE}, or a dotted path package.module:Class"
            )


def supported_kinds(system: object) -> frozenset[str]:
    """Return the names of the kinds that `system` supports, by the protocols that it has."""
    return frozenset(kind.name for kind in KINDS.values() if isinstance(system, kind.needs))


def check_supported(names: Sequence[str], capabilities: Collection[str]) -> None:
    """Raise FaultError for a kind of fault in `names` that is not in `capabilities`.

    `capabilities` contains the names of the kinds that the system supports.
    """
    for name in names:
        if name not in capabilities and not is_user_kind(name):
            kinds = [kind for kind in KINDS if kind in capabilities]
            possible = [one for one in names if one in capabilities or is_user_kind(one)] or [NONE]
            raise FaultError(
                f"the system does not support the fault {name!r} (its class lacks the methods of "
                f"{KINDS[name].protocols}); it supports {', '.join(kinds) or 'no faults'}: give, "
                f"for example, --nemesis {','.join(possible)}"
            )


def check_machine(names: Iterable[str]) -> None:
    """Raise FaultError for a kind in `names` that this machine cannot inject into processes."""
    for name in names:
        if (why := KINDS[name].missing()):
            raise FaultError(f"the fault {name} cannot be injected on this machine: {why}")
