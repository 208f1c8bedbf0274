"""Unmounts FUSE file systems of this user."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

REQUIRES = "FUSE (Debian: fuse3 libfuse2; splitbrain[fuse])"


def unmount(folder: Path) -> bool:
    """Unmount `folder`, also if its file system does not answer. Returns whether it was mounted.

    Files that a process has open stay usable for that process.
    """
    if str(folder) not in mounted_folders():
        return False
    program = shutil.which("fusermount3") or shutil.which("fusermount")
    command = (program, "-u", "-z") if program else ("umount", "-l")
    subprocess.run((*command, str(folder)), check=False, capture_output=True)
    return True


def mounted_folders() -> set[str]:
    """Return the mount points of this machine, also those whose file systems do not answer."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {os.fsencode(line.split()[4]).decode("unicode_escape") for line in lines}


def fuse_missing() -> str:
    """Return why this user cannot mount FUSE file systems, and what to do; "" if it can."""
    from ctypes.util import find_library
    from importlib.util import find_spec

    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "disks of processes need the device /dev/fuse, which this user cannot use"
    programs = shutil.which("fusermount3") or shutil.which("fusermount")
    if not programs or not (find_library("fuse") or find_library("fuse3")):
        return "disks of processes need FUSE; install it (Debian: fuse3 libfuse2)"
    if find_spec("mfusepy") is None:
        return "disks of processes need mfusepy: pip install 'splitbrain[fuse]'"
    return ""
