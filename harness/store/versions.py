"""The versions of software on which the outcome of a run may depend."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

COMMIT = "commit"
"""The key of the project's commit in the versions of a run."""
COMMIT_LETTERS = 12
GIT_TIMEOUT_S = 10


def versions_now() -> dict[str, str]:
    """The versions of Splitbrain, Python and the operating system, and the project's commit.

    The project is the git repository of the working directory. Without one, there is no commit.
    """
    versions = {
        "splitbrain": _own_version(), "python": platform.python_version(),
        "os": platform.platform(),
    }
    commit = project_commit(Path.cwd())
    return {**versions, COMMIT: commit} if commit else versions


@functools.cache
def project_commit(folder: Path) -> str:
    """The commit of the git repository of `folder`, with "-dirty" if files were changed; or ""."""
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
    """A digest of the Python sources of Splitbrain. Equal digests draw and judge equal runs."""
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
    # Cached, because a simulated run ends sooner than this lookup.
    try:
        return version("splitbrain")
    except PackageNotFoundError:
        return "not installed"
