"""Restores all members of a cluster of etcd from one snapshot, as an operator does.

The members start with client URLs that no client knows. When all of them have applied the same
entries, one of them is asked for a snapshot. The snapshot contains every acknowledged write,
because the members have started from their logs. Then each member's data folder is replaced.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from splitbrain.harness.clients.member_state import status
from splitbrain.harness.clients.snapshot_file import download_snapshot
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.disks.folder_content import replace_content
from splitbrain.harness.systems.etcd_like.member_addresses import Place
from splitbrain.harness.systems.etcd_like.request_failure import as_fault_error
from splitbrain.harness.systems.processes.ports import Ports
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault_target import MemberName

AGREE_TIMEOUT_S = 20.0
RESTORE_TIMEOUT_S = 30.0
_POLL_S = 0.05


def restore_program(binary: Path) -> Path:
    """Return the path of etcdutl or etcdctl in the folder of the etcd binary.

    The program restores snapshots. Raises FaultError if the folder contains neither of them.
    """
    for name in ("etcdutl", "etcdctl"):
        if os.access(program := binary.parent / name, os.X_OK):
            return program
    raise FaultError(
        f"the fault restore needs etcdutl or etcdctl in {binary.parent}, the folder of etcd"
    )


class SnapshotRestoration(ABC):
    """Restores the members of an etcd cluster from a snapshot; implements `Restorable`."""

    members: Sequence[MemberName]
    binary: Path

    @abstractmethod
    def place_of(self, member: MemberName) -> Place: ...

    @abstractmethod
    async def start_at(self, places: Sequence[Place]) -> None:
        """Start the members, which do not run, at the client URLs in `places`."""

    @abstractmethod
    async def kill_all(self) -> None: ...

    @abstractmethod
    def is_changing_members(self) -> bool:
        """Return whether the members of the cluster have changed since its start."""

    @abstractmethod
    def _require_session(self) -> aiohttp.ClientSession: ...

    async def restore_snapshot(self) -> None:
        if self.is_changing_members():
            raise FaultError("the members of the cluster are being changed")
        program = restore_program(self.binary)
        places = {name: self.place_of(name) for name in self.members}
        snapshot = places[self.members[0]].folder / "restored.db"
        try:
            with as_fault_error():
                await self._save(places, snapshot)
                for place in places.values():
                    await asyncio.to_thread(_restore, program, place, places, snapshot)
        finally:
            snapshot.unlink(missing_ok=True)

    async def _save(self, places: Mapping[MemberName, Place], snapshot: Path) -> None:
        """Start the members at `places`, where no client finds them, and save a snapshot.

        The snapshot is saved to the file `snapshot` when the members agree. Raises FaultError.
        """
        ports = Ports()
        try:
            hidden = [
                replace(one, client_url=_with_port(one.client_url, ports.take()))
                for one in places.values()
            ]
            await self.start_at(hidden)
            session, urls = self._require_session(), [one.client_url for one in hidden]
            async with asyncio.timeout(AGREE_TIMEOUT_S):
                while not await _agree(session, urls):  # noqa: ASYNC110 - polls the members
                    await asyncio.sleep(_POLL_S)
            await download_snapshot(session, urls[0], snapshot, RESTORE_TIMEOUT_S)
        except TimeoutError as problem:
            raise FaultError(
                f"the members did not agree within {AGREE_TIMEOUT_S:g} s, so that no snapshot was "
                "taken"
            ) from problem
        finally:
            await self.kill_all()
            ports.release()


async def _agree(session: aiohttp.ClientSession, urls: Sequence[str]) -> bool:
    """Return whether all members know one leader and have applied all of its entries."""
    try:
        found = [await status(session, url) for url in urls]
    except (aiohttp.ClientError, OSError, TimeoutError, SystemFailed):
        return False
    applied = {one.raft_applied_index for one in found}
    indexes = {one.raft_index for one in found}
    return len({one.leader for one in found} - {0}) == 1 and applied == indexes and (
        len(applied) == 1 and all(one.leader for one in found)
    )


def _with_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _restore(
    program: Path, place: Place, places: Mapping[MemberName, Place], snapshot: Path
) -> None:
    """Replace the data folder of the member at `place` by one restored from `snapshot`.

    Raises SystemFailed.
    """
    fresh = place.folder / "restored"
    shutil.rmtree(fresh, ignore_errors=True)
    cluster = ",".join(f"{one.name}={one.advertised_url}" for one in places.values())
    try:
        subprocess.run(
            (
                str(program), "snapshot", "restore", str(snapshot), "--name", place.name,
                "--data-dir", str(fresh), "--initial-cluster", cluster,
                "--initial-advertise-peer-urls", place.advertised_url,
            ),
            env={**os.environ, "ETCDCTL_API": "3"}, timeout=RESTORE_TIMEOUT_S, check=True,
            stdin=subprocess.DEVNULL, capture_output=True,
        )
        replace_content(place.data, fresh)
    except (OSError, subprocess.SubprocessError) as problem:
        output = getattr(problem, "stderr", b"") or b""
        raise SystemFailed(
            f"{program.name} did not restore {place.name}: {problem} "
            f"{output.decode(errors='replace')[-300:]}"
        ) from problem
