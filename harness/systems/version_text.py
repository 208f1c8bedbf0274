"""The tested version in one line, for the console."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from splitbrain.harness.systems.system import System


@runtime_checkable
class Versioned(Protocol):
    """A system that describes its version by the method `version_text`."""

    def version_text(self) -> str:
        """Return the version in one line, such as `etcd 3.5.16, /usr/bin/etcd (from PATH)`."""
        ...


def version_text(system: System) -> str:
    """Return a line that names the tested version.

    For example: `etcd 3.5.16, /usr/bin/etcd (from PATH)`. The line is the result of the system's
    method `version_text`. If the system has no such method, the line is made from the result of
    `versions()`.
    """
    if isinstance(system, Versioned):
        return system.version_text()
    versions = ", ".join(f"{part} {version}" for part, version in system.versions().items())
    return f"{system.name}: {versions}" if versions else system.name
