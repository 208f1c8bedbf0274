"""A planted bug in this process's own copy of the member.

A mutant replaces functions of `node` for good, so that a process holds one at most: a
run of the correct member after it, or of another mutant, needs another process.
"""

from __future__ import annotations

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.mutants import catalogue

_planted: list[str] = []


def plant(mutant: str) -> None:
    """Let this process's members have the bug `mutant` ("": none). Raises BadArguments
    if it holds another one, or there is none of this name."""
    holds = _planted[0] if _planted else ""
    if holds == mutant:
        return
    if holds:
        raise BadArguments(
            f"this process has the mutant {holds} planted, and a simulated run of "
            f"{mutant or 'the correct member'} was asked for: run it in a process of its own"
        )
    catalogue.plant(mutant)
    _planted.append(mutant)
