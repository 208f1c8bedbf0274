"""Finds out whether a leader records lease checkpoints, and at which interval.

A lease checkpoint is a log entry with the remaining time of a lease. In etcd, flags enable them,
and the interval has no flag. This project's own members always record them.

Source: `etcd --help` of releases 3.4 to 3.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from splitbrain.harness.systems.catalogue import ETCD, PYTHON_NODE, SIMULATED

ETCD_INTERVAL_S = 300
RECORDS = "--experimental-enable-lease-checkpoint"
PERSISTS = "--experimental-enable-lease-checkpoint-persist"
GATES = "--feature-gates"

OWN_INTERVAL_S = 300
OWN_SETTING = "lease_checkpoint_interval_s"
OWN_FLAG = "--lease-checkpoint-interval"


def lease_checkpoints(
    system: str, member_flags: Sequence[str], settings: Mapping[str, int | bool]
) -> tuple[int, bool]:
    """Return the interval of the lease checkpoints in s, and whether they survive restarts.

    The interval is 0 if a leader records no checkpoints, or if this is unknown. `settings` are the
    members' settings in the schedule.
    """
    if system in (PYTHON_NODE, SIMULATED):
        return _own_interval_s(member_flags, settings), True
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


def _own_interval_s(member_flags: Sequence[str], settings: Mapping[str, int | bool]) -> int:
    interval = int(settings.get(OWN_SETTING, OWN_INTERVAL_S))
    for place, flag in enumerate(member_flags):
        name, equals, value = flag.partition("=")
        if name == OWN_FLAG:
            value = value if equals else "".join(member_flags[place + 1 : place + 2])
            interval = int(value) if value.isdigit() else 0
    return interval
