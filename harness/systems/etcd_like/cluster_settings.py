"""The settings of a cluster of processes, for any etcd-like store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from splitbrain.harness.systems.networks.network import LOOPBACK
from splitbrain.nemesis.fault_target import MemberName

WATCH_PROGRESS_MS = 250
"""The time between two progress notifications to idle watchers, in a run with watchers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """The members, their folders, and the settings that every etcd-like member has."""

    members: tuple[MemberName, ...]
    folder: Path
    """The folder with one subfolder for each member: its `log`, its `data`, and its trace, if
    any."""
    seed: int = 0
    """The seed of the random delays of slow links."""
    member_seeds: tuple[int, ...] = ()
    """One seed for each member, for stores that accept one. Empty: the members draw their own."""
    heartbeat_ms: int = 100
    election_ms: int = 1_000
    snapshot_count: int = 10_000
    start_timeout_ms: int = 30_000
    """The longest time from the start of the processes until all members report the same leader."""
    stop_grace_ms: int = 2_000
    """The time between SIGTERM and SIGKILL at the end."""
    network: str = LOOPBACK
    """The network of the members: `loopback`, or `namespaces` with one network namespace for
    each."""
    proxied: bool = True
    """Whether peers reach each other through proxies. On loopback, faults of links need proxies."""
    mounted_disks: bool = False
    """Whether each member's data folder is a mounted disk (`systems/disks/`). Faults of power and
    of disks need mounted disks."""
    piped_logs: bool = False
    """Whether members write their logs into pipes that the harness reads. The fault `log` needs
    pipes."""
    tls: bool = False
    """Whether the members serve clients and peers with TLS, and require certificates of both."""
    watch_progress_ms: int = 0
    """The time between two progress notifications to idle watchers that request them. 0: the
    store's default, which is ten minutes in etcd."""
    extra_args: tuple[str, ...] = ()
    """Additional flags of all members."""
    member_args: Mapping[MemberName, tuple[str, ...]] = field(default_factory=dict)
    """Additional flags of single members."""
    extra_env: Mapping[str, str] = field(default_factory=dict)
    """Additional environment variables of all members."""
    member_env: Mapping[MemberName, Mapping[str, str]] = field(default_factory=dict)
    """Additional environment variables of single members."""

    def __post_init__(self) -> None:
        if not self.members or len(set(self.members)) != len(self.members):
            raise ValueError(
                f"members={self.members}: expected at least one name, and no name twice"
            )
        if self.member_seeds and len(self.member_seeds) != len(self.members):
            raise ValueError(
                f"{len(self.members)} members but {len(self.member_seeds)} member_seeds: "
                "expected one for each member, or none"
            )
