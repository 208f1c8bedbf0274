"""What a cluster of processes is started with, whichever store its members run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from splitbrain.nemesis.fault import MemberName

WATCH_PROGRESS_MS = 250
"""How often idle watchers are told their progress in a run that has watchers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """Members, their folders, and what every etcd-like member can be told."""

    members: tuple[MemberName, ...]
    folder: Path
    """Each member gets a folder of its own in it: `log`, `data`, and a trace if it writes one."""
    seed: int = 0
    """Decides the jitter of slow links."""
    member_seeds: tuple[int, ...] = ()
    """Each member's own seed, for systems whose members take one; empty: theirs to draw."""
    heartbeat_ms: int = 100
    election_ms: int = 1_000
    snapshot_count: int = 10_000
    start_timeout_ms: int = 30_000
    """From starting the processes until a leader that all members know serves."""
    stop_grace_ms: int = 2_000
    """Between SIGTERM and SIGKILL."""
    proxied: bool = True
    """Whether peers reach each other through proxies; without them links cannot be touched."""
    watch_progress_ms: int = 0
    """How often idle watchers that asked for it are told their progress; 0: the store's own
    way, in etcd every ten minutes."""
    extra_args: tuple[str, ...] = ()
    member_args: Mapping[MemberName, tuple[str, ...]] = field(default_factory=dict)
    """Further flags of all members, and of single ones."""
    extra_env: Mapping[str, str] = field(default_factory=dict)
    member_env: Mapping[MemberName, Mapping[str, str]] = field(default_factory=dict)
    """Further environment of all members, and of single ones."""

    def __post_init__(self) -> None:
        if not self.members or len(set(self.members)) != len(self.members):
            raise ValueError(f"members must be names, each once, at least one: got {self.members}")
        if self.member_seeds and len(self.member_seeds) != len(self.members):
            raise ValueError(
                f"{len(self.members)} members but {len(self.member_seeds)} member_seeds: "
                "expected one each, or none"
            )
