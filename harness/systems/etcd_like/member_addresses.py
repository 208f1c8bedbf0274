"""The addresses and the folder of one member of a cluster of processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from splitbrain.harness.systems.processes.member_files import MemberFiles
from splitbrain.nemesis.fault_target import MemberName


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The addresses and the folder of one member of a cluster."""

    name: MemberName
    client_url: str
    peer_url: str
    """The address at which the member listens for its peers."""
    advertised_url: str
    """The address at which other members reach the member. If the member has a proxy, this is the
    address of the proxy."""
    folder: Path
    namespace: Path | None = None
    """The network namespace of the member, or None if it runs in that of the harness."""

    @property
    def data(self) -> Path:
        return MemberFiles(self.folder).data
