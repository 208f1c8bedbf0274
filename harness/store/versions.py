"""Determines the versions of software on which the outcome of a run may depend."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

COMMIT = "commit"
"""The key of the commit of the user's project, in the versions of a run."""
COMMIT_LETTERS = 12
GIT_TIMEOUT_S = 10


def versions_now() -> dict[str, str]:
    """Return the versions of Splitbrain, Python and the operating system, and the project's commit.

    The project is the git repository of the working directory. Without a repository, there is no
    commit.
    """
    versions = {
        "splitbrain": _own_version(), "python": platform.python_version(),
        "os": platform.platform(),
    }
    commit = project_commit(Path.cwd())
    return {**versions, COMMIT: commit} if commit else versions


@functools.cache
def project_commit(folder: Path) -> str:
    """Return the commit of the git repository of `folder`; "" if it is in no repository.

    "-dirty" is added if files were changed after the commit.
    """
    words = ("describe", "--always", "--dirty", "--exclude=*", f"--abbrev={COMMIT_LETTERS}")
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@functools.cache
def source_digest() -> str:
    """Return a digest of the Python sources of Splitbrain.

    If the digests are equal, the same seed gives the same schedule and the same verdict.
    """
    digest = hashlib.sha256()
    root = Path(__file__).parents[2]
    for folder, below, files in os.walk(root, followlinks=True):
        below.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                path = Path(folder, name)
                digest.update(f"{path.relative_to(root)}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@functools.cache
def _own_version() -> str:
    # The version is cached, because reading it takes longer than a simulated run.
    try:
        return version("splitbrain")
    except PackageNotFoundError:
        return "not installed"
