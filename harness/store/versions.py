"""The versions of software on which the outcome of a run may depend."""

from __future__ import annotations

import functools
import platform
from importlib.metadata import PackageNotFoundError, version


def versions_now() -> dict[str, str]:
    """The versions of Splitbrain, Python and the operating system."""
    python = platform.python_version()
    return {"splitbrain": _own_version(), "python": python, "os": platform.platform()}


@functools.cache
def _own_version() -> str:
    # Cached, because a simulated run ends sooner than this lookup.
    try:
        return version("splitbrain")
    except PackageNotFoundError:
        return "not installed"
