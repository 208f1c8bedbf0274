"""Finds out whether this machine has network namespaces, and removes namespaces.

Source: ip-netns(8), nft(8).
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

REQUIRES = "root, and Debian's iproute2 and nftables"
PROGRAMS = ("ip", "ss", "nft", "nsenter", "unshare")
FOLDER = Path("/run/netns")
TUN = Path("/dev/net/tun")
_ADMINISTRATORS = (12, 21)
"""The numbers of CAP_NET_ADMIN and CAP_SYS_ADMIN."""
TIMEOUT_S = 20.0


def missing() -> str:
    """Return why members cannot have network namespaces here, and what to do, or ""."""
    effective = _effective_capabilities()
    if not all(effective >> number & 1 for number in _ADMINISTRATORS):
        return "network namespaces need root (CAP_NET_ADMIN and CAP_SYS_ADMIN)"
    lacking = [name for name in PROGRAMS if found(name) is None]
    if lacking:
        return (
            f"network namespaces need {', '.join(lacking)}; install Debian's iproute2 and nftables"
        )
    if not os.access(TUN, os.R_OK | os.W_OK):
        return f"network namespaces need {TUN}, for slow links"
    return _refused()


@functools.cache
def _refused() -> str:
    """Try the needed commands in a temporary namespace.

    Returns the reason if they fail, or "" if they succeed.
    """
    trial = (
        "ip link add end0 type veth peer name end1 && nft add table ip t && "
        "nft add chain ip t c '{ type filter hook forward priority 0; }' && "
        "nft add rule ip t c meta l4proto tcp numgen random mod 9 \\< 5 reject with tcp reset"
    )
    words = (found("unshare") or "unshare", "--net", "--", "sh", "-c", trial)
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    try:
        done = subprocess.run(
            words, check=False, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        return f"a trial of a network namespace fails: {problem}"
    if done.returncode == 0:
        return ""
    why = " ".join(done.stderr.split())[:200]
    return f"a trial of a network namespace fails, so this kernel may lack something: {why}"


def found(program: str) -> str | None:
    """Return the path of `program`, or None if it is not installed.

    The administrator's folders (sbin) are searched, too.
    """
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def path_of(name: str) -> Path:
    """Return the file that represents the network namespace `name`."""
    return FOLDER / name


def remove_namespace(name: str) -> bool:
    """Remove the network namespace `name`. Returns whether it existed.

    Processes in the namespace keep it alive until they end.
    """
    if not path_of(name).exists():
        return False
    _run("netns", "del", name)
    return True


def remove_interface(name: str) -> bool:
    """Remove a network interface and the other end of its pair. Returns whether it existed."""
    if not Path("/sys/class/net", name).exists():
        return False
    _run("link", "del", name)
    return True


def _run(*words: str) -> None:
    program = found("ip")
    if program is not None:
        subprocess.run((program, *words), check=False, capture_output=True, timeout=TIMEOUT_S)


def _effective_capabilities() -> int:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    words = status.partition("CapEff:")[2].split()
    return int(words[0], 16) if words else 0
