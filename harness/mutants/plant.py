"""Plants at most one bug into this process.

A mutant replaces functions of `splitbrain.node` until the process ends. Therefore a run of the
correct member or of another mutant needs another process.
"""

from __future__ import annotations

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.mutants import catalogue

_planted: list[str] = []


def plant_once(mutant: str) -> None:
    """Plant the bug `mutant` into the members of this process; an empty name plants no bug.

    Raises BadArguments if the process already contains another bug, or if `mutant` is unknown.
    """
    planted = _planted[0] if _planted else ""
    if planted == mutant:
        return
    if planted:
        raise BadArguments(
            f"this process contains the mutant {planted}, so it cannot simulate "
            f"{mutant or 'the correct member'}; run that in a separate process"
        )
    catalogue.plant(mutant)
    _planted.append(mutant)
