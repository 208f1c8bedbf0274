"""Default implementations of the methods that a user's system may lack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from splitbrain.harness.errors import BadArguments
from splitbrain.histories.member_state import MemberState

REQUIRED = ("members", "start", "stop", "address")


class _Optional:
    """Default implementations of the methods of `System` that are not in `AnySystem`."""

    name = "system"

    def alive(self, member: str) -> bool:
        """Return True, because it is not known whether the processes of the member run."""
        return True

    async def leader(self) -> str | None:
        """Return None, because the leader is not known.

        A fault that should hit the leader then hits any member.
        """
        return None

    async def state(self, member: str, at_revision: int | None = None) -> MemberState:
        return MemberState(member, error="the store has no change log")

    def log_path(self, member: str) -> Path:
        return Path(os.devnull)

    def trace_path(self, member: str) -> Path | None:
        return None

    def data_path(self, member: str) -> Path:
        return Path(os.devnull)

    def versions(self) -> Mapping[str, str]:
        return {}


OPTIONAL = tuple(name for name in vars(_Optional) if not name.startswith("_"))


def completed(system: Any) -> Any:
    """Add default implementations of the optional methods that `system` lacks, and return it.

    Raises BadArguments if `system` lacks a method that every system must have, or if no methods can
    be added to its class.
    """
    kind = type(system)
    missing = [name for name in REQUIRED if not hasattr(system, name)]
    if missing:
        raise BadArguments(
            f"{kind.__name__} is not a system: it has no {' and no '.join(missing)}; expected "
            f"{', '.join(REQUIRED)} (see splitbrain.AnySystem)"
        )
    if all(hasattr(system, name) for name in OPTIONAL):
        return system
    # The methods of the user's class have priority. An isinstance test of the class still finds
    # exactly the capabilities that the user's class has.
    more = {"name": kind.__name__.lower()} if not hasattr(system, "name") else {}
    try:
        system.__class__ = type(kind.__name__, (kind, _Optional), more)
    except TypeError as problem:
        lacking = ", ".join(name for name in OPTIONAL if not hasattr(system, name))
        raise BadArguments(
            f"{kind.__name__} lacks the methods {lacking}, which cannot be added: {problem}"
        ) from problem
    return system
