"""The tested version in one line, for the console."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from splitbrain.harness.systems.system import System


@runtime_checkable
class Versioned(Protocol):
    """A system that writes the line itself."""

    def version_text(self) -> str:
        """For example `etcd 3.5.16, /usr/bin/etcd (from PATH)`."""
        ...


def version_text(system: System) -> str:
    """Names the tested version, and the binary if there is one.

    A system without a method `version_text` is named with what `versions()` returns.
    """
    if isinstance(system, Versioned):
        return system.version_text()
    versions = ", ".join(f"{part} {version}" for part, version in system.versions().items())
    return f"{system.name}: {versions}" if versions else system.name
