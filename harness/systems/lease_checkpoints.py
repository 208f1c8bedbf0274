"""Whether the members record the remaining time of leases, by their command-line flags.

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
    """The interval in s at which a leader records the remaining times (0: never), and whether a
    member that restarts still knows them."""
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
