"""Finds out from the members' command-line flags whether a leader records lease checkpoints.

A lease checkpoint is a log entry with the remaining time of a lease.

Source: `etcd --help` of releases 3.4 to 3.6; the interval has no flag.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.systems.catalogue import ETCD

ETCD_INTERVAL_S = 300
RECORDS = "--experimental-enable-lease-checkpoint"
PERSISTS = "--experimental-enable-lease-checkpoint-persist"
GATES = "--feature-gates"


def lease_checkpoints(system: str, member_flags: Sequence[str]) -> tuple[int, bool]:
    """A pair: the interval in s of the lease checkpoints, and whether they survive restarts.

    The interval is 0 if a leader records no checkpoints.
    """
    if system != ETCD:
        return 0, False
    gates: set[str] = set()
    given: set[str] = set()
    for place, flag in enumerate(member_flags):
        name, equals, value = flag.partition("=")
        if name == GATES:
            value = value if equals else "".join(member_flags[place + 1 : place + 2])
            gates |= {gate.lower() for gate in value.split(",")}
        elif not equals or value.lower() in ("true", "1", "t"):
            given.add(name)
    records = RECORDS in given or "leasecheckpoint=true" in gates
    persists = PERSISTS in given or "leasecheckpointpersist=true" in gates
    return (ETCD_INTERVAL_S, persists) if records else (0, False)
