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
"""Run options that suit most mutants. Elections are fast, so that several leaders are elected
within a few seconds. The run waits only briefly for members that never agree."""


MEMBERS_HUNT: Mapping[str, object] = {
    "nemesis": ("kill", "partition", "members", "transfer"), "nodes": (3, 3, 4, 5),
}
"""Options of `splitbrain hunt` for bugs that show only if the members change."""
MEMBER_LISTS_HUNT: Mapping[str, object] = {**MEMBERS_HUNT, "workload": "members"}
"""Options of `splitbrain hunt` for bugs that show only in reads of the member list."""
JOINT_HUNT: Mapping[str, object] = {
    "nemesis": ("kill", "partition", "transfer", "joint"), "nodes": (3, 4, 5, 5),
}
"""Options of `splitbrain hunt` for bugs that show only in joint consensus."""
TRANSFER_HUNT: Mapping[str, object] = {
    "nemesis": ("kill", "partition", "latency", "transfer"), "nodes": (3, 5),
}
"""Options of `splitbrain hunt` for bugs that show only in transfers of the leadership."""
SNAPSHOTS_HUNT: Mapping[str, object] = {
    "workload": "limits", "workload_options": {"snapshots": 1},
}
"""Options of `splitbrain hunt` for bugs that show only in snapshots that clients download."""
SNAPSHOTS_RUN: Mapping[str, object] = {
    **SNAPSHOTS_HUNT, "nemesis": (), "nodes": (3,), "time_limit_s": 5.0,
}
"""Options of `splitbrain run` for the same bugs."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """The declaration of a planted bug.

    - `what` describes the wrong behaviour.
    - `source` names the real bugs or the documents from which the bug is taken.
    - `found_by` names the checkers that can find the bug. In simulation, at least one of them must
      find it. In a run of processes, the first one must find it.
    - `run` contains options of `splitbrain run` with which the bug shows soon. If `run` is empty,
      only simulation finds the bug in reasonable time.
    - `flags` are extra command-line flags for the members.
    - `hunt` contains options for `splitbrain hunt`, which searches over many seeds. It is empty if
      the options that a hunt draws show the bug often enough.
    - `simulated` is False if simulation does not execute the broken code, such as that of TLS.
    """

    what: str
    source: str
    found_by: tuple[str, ...]
    run: Mapping[str, object] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    hunt: Mapping[str, object] = field(default_factory=dict)
    simulated: bool = True
