"""This project's own store: each member is a process `python -m splitbrain.node`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version

import aiohttp

from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
from splitbrain.harness.systems.etcd_like.member_addresses import Place
from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
from splitbrain.harness.systems.processes.member_files import MemberFiles
from splitbrain.harness.systems.processes.member_process import python_env
from splitbrain.nemesis.disk_fault import DiskArea
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.moment import MomentEvent

COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "splitbrain.node")
"""The command of a member. With `-P`, modules in the working directory cannot replace modules of
the same name."""
HUGE_PAGES: Mapping[str, str] = {
    "PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"
}
"""The environment variables with which Python and glibc allocate memory in huge pages. The member
needs less CPU time with them (docs/reference/member.md)."""
FAILPOINT_TIMEOUT_S = 2.0
STOPPED_POLL_S = 0.002


class PythonNode(ProcessCluster):
    """A cluster of this project's members.

    `command` is the beginning of a member's command line, without the flags. Members with a planted
    bug have another command. With `admin`, the members accept failpoints.
    """

    name = "python_node"
    areas: Mapping[DiskArea, tuple[str, ...]] = {
        "log": ("member/wal/*.wal",),
        "seal": ("member/seal",),
        "backend": ("member/snap/db/*",),
        "snapshots": ("member/snap/*.snap",),
        "starts": ("incarnation",),
    }
    log_events: Mapping[MomentEvent, str] = {
        "election": '"role":"leader"', "snapshot": '"msg":"(took|restored) a snapshot"',
    }

    def __init__(
        self,
        settings: ClusterSettings,
        command: Sequence[str] = COMMAND,
        tracing: bool = True,
        admin: bool = False,
    ) -> None:
        super().__init__(settings)
        self._command = tuple(command)
        self._tracing = tracing
        self._admin = admin

    def command(self, place: Place, initial_cluster: str) -> Sequence[str]:
        settings = self.settings
        optional = ["--initial-cluster-state", self.cluster_state(place.name)]
        if settings.member_seeds:
            seed = settings.member_seeds[settings.members.index(place.name)]
            optional += ["--seed", str(seed)]
        if self._tracing:
            optional += ["--trace-file", str(self.trace_path(place.name))]
        if self._admin:
            optional.append("--admin")
        return (
            *self._command, *etcd_flags(settings, place, initial_cluster), *self.encryption.flags(),
            *optional,
        )

    def environment(self) -> dict[str, str]:
        return member_env()

    # --- failpoints, which members accept with `admin` --------------------------------

    async def set_failpoint(self, member: MemberName, failpoint: str, term: str) -> None:
        answer = await self._failpoint("PUT", member, failpoint, term)
        if answer is not None:
            raise FaultError(f"{member} refused the failpoint {failpoint}={term}: {answer}")

    async def clear_failpoint(self, member: MemberName, failpoint: str) -> None:
        await self._failpoint("DELETE", member, failpoint, "")

    async def wait_until_paused_at(self, member: MemberName, failpoint: str) -> None:
        # The operating system does not tell the harness that a process has stopped itself, so the
        # harness polls.
        while not self.is_stopped(member):  # noqa: ASYNC110
            await asyncio.sleep(STOPPED_POLL_S)

    async def _failpoint(
        self, method: str, member: MemberName, failpoint: str, term: str
    ) -> str | None:
        """Send a request about a failpoint to the member.

        Returns None if the member accepted it. Otherwise returns the reason.
        """
        url = f"{self.address(member).client_url}/admin/failpoints/{failpoint}"
        timeout = aiohttp.ClientTimeout(total=FAILPOINT_TIMEOUT_S)
        try:
            session = self._require_session()
            async with session.request(method, url, data=term, timeout=timeout) as answer:
                return None if answer.ok else f"{answer.status} {await answer.text()}"
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            return f"{type(problem).__name__}: {problem}"

    def trace_path(self, member: MemberName) -> Path | None:
        return MemberFiles(self.settings.folder / member).trace if self._tracing else None

    def versions(self) -> Mapping[str, str]:
        return {"splitbrain": member_version(), "python": python_version()}

    def version_text(self) -> str:
        return member_version_text()


def member_version() -> str:
    """Return the version of this package, whose members are tested."""
    try:
        return version("splitbrain")
    except PackageNotFoundError:
        return "from sources"


def member_version_text() -> str:
    return f"splitbrain member {member_version()}"


def etcd_flags(settings: ClusterSettings, place: Place, initial_cluster: str) -> tuple[str, ...]:
    """Return the command-line flags that members of etcd (since 3.5) and of this project share."""
    progress = settings.watch_progress_ms
    return (
        "--name", place.name,
        "--data-dir", str(place.data),
        "--initial-cluster", initial_cluster,
        "--initial-advertise-peer-urls", place.advertised_url,
        "--listen-peer-urls", place.peer_url,
        "--listen-client-urls", place.client_url,
        "--advertise-client-urls", place.client_url,
        "--heartbeat-interval", str(settings.heartbeat_ms),
        "--election-timeout", str(settings.election_ms),
        "--snapshot-count", str(settings.snapshot_count),
        *(("--experimental-watch-progress-notify-interval", f"{progress}ms") if progress else ()),
    )


def member_env() -> dict[str, str]:
    """Return the environment of a member. A variable that the user has set keeps its value."""
    return {**HUGE_PAGES, **python_env()}
