"""The declaration of a planted bug."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SHORT_RUN: Mapping[str, object] = {
    "nodes": (3,),
    "time_limit_s": 8.0,
    "heartbeat_ms": 50,
    "election_ms": 400,
    "quiet_timeout_ms": 8_000,
}
"""Run options that suit most mutants: elections are fast, so that a few seconds see several
leaders, and the run waits only briefly for members that never agree."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """`what` describes the wrong behaviour, and `source` names real bugs or documents that it
    is taken from.

    `found_by` names the checkers that can find it. At least one of them must find it in
    simulation; in a run of processes the first one must. `run` holds options of
    `splitbrain run` under which the bug shows soon; empty means that only simulation finds
    it in reasonable time. `flags` are extra command-line flags for the members.
    """

    what: str
    source: str
    found_by: tuple[str, ...]
    run: Mapping[str, object] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
