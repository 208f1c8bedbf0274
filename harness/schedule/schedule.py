"""The schedule: the value that describes one run completely.

A schedule contains everything that determines a run except the interleaving of real processes: the
options, the members, every operation of every client, the faults and their times, the watchers, the
members' settings and, in simulation, the behaviour of network and disks. Schedules are drawn from a
seed (`splitbrain.harness.drawing`), drawn by hypothesis, written by hand as text
(`splitbrain.harness.schedule.text`) or made smaller by shrinking. One function executes all of them
(`splitbrain.harness.runs.execute`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from splitbrain.harness.counted import counted
from splitbrain.harness.schedule.network_and_disk_conditions import (
    IDEAL_DISK,
    IDEAL_NETWORK,
    DiskConditions,
    NetworkConditions,
)
from splitbrain.harness.schedule.operation import ClientOperations, ScheduledOperation
from splitbrain.harness.schedule.options import DEFAULTS, Options
from splitbrain.harness.schedule.watchers import ScheduledWatcher
from splitbrain.histories.random_stream import subseed
from splitbrain.nemesis.disk_fault import loses_data
from splitbrain.nemesis.fault import AtStep, Authentication, ScheduledFault

FORMAT = 2
"""This number is incremented when the encoded form of a schedule changes its meaning."""

SIMULATED, PYTHON_NODE, ETCD = "simulated", "python_node", "etcd"
"""The names of built-in systems."""
PASSWORD_COST_LOG2_LEAST = 4
"""The members' setting with which a login costs the least CPU time that etcd accepts."""

SIMULATED_SETTINGS: Mapping[str, int | bool] = {"wal_segment_bytes": 256 * 1024}
"""Default settings of simulated members. WAL segments of 64 MiB would only slow the simulated disk
down."""


class TimedOperation(msgspec.Struct, frozen=True):
    """An operation with its absolute time.

    `client` begins the operation `at_us` µs after the load began, or when the client's previous
    operation ends, whichever is later. The field `think_us` of `operation` is ignored.
    """

    at_us: int
    client: int
    operation: ScheduledOperation


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that determines one run."""

    options: Options
    """The system, the workload, limits and timeouts. Fields that only guide the drawing (rate,
    kinds of faults, …) have no further effect."""
    seed: int
    """The seed of everything that is drawn during the run, such as simulated delays."""
    members: tuple[str, ...]
    member_seeds: tuple[int, ...]
    """The seed of each member, for the random part of its election timeout."""
    clients: tuple[ClientOperations, ...]
    faults: tuple[ScheduledFault, ...]
    time_limit_ms: int
    """How long the load lasts."""
    leader: str = ""
    """The member that the schedule expects to lead when the load begins. If another member
    leads, the two exchange their roles in the schedule
    (`splitbrain.harness.schedule.leader_role`). Empty: no expectation."""
    watchers: tuple[ScheduledWatcher, ...] = ()
    """The watchers of the run; () unless the workload has watchers."""
    settings: Mapping[str, int | bool] = {}
    """Settings of the members: fields of `splitbrain.node.config.Config`. A system of real
    processes passes them as command-line flags."""
    network: NetworkConditions = IDEAL_NETWORK
    """The behaviour of healthy links. Only simulation uses it."""
    disk: DiskConditions = IDEAL_DISK
    """The behaviour of healthy disks. Only simulation uses it."""
    deposed_longer_by: int = 0
    """The number of entries by which the log of a deposed leader becomes longer than the log of the
    new leader. A deposed leader that has not noticed its successor appends empty entries, which are
    never committed. 0: it appends none. Only simulation uses this number."""
    buggify: bool = False
    """Whether rare conditions inside the members are made frequent. Only simulation uses it."""
    fails_by: str = ""
    """The name of the checker that finds the run invalid, if one is known."""
    format: int = FORMAT

    @property
    def system(self) -> str:
        return self.options.system

    @property
    def operations(self) -> tuple[TimedOperation, ...]:
        """Return all operations in the order in which they are scheduled to begin."""
        found = []
        for client, own in enumerate(self.clients):
            at_us = 0
            for place, operation in enumerate(own.operations):
                at_us += operation.think_us
                found.append((at_us, client, place, operation))
        found.sort(key=lambda one: one[:3])
        return tuple(TimedOperation(at, client, one) for at, client, _, one in found)

    @property
    def size(self) -> tuple[int, int]:
        """Return the number of faults and the number of operations, in this order."""
        return len(self.faults), sum(len(one.operations) for one in self.clients)

    def operation_numbers(self) -> tuple[tuple[int, ...], ...]:
        """Return the numbers of each client's operations, in the order of the clients.

        Operations are numbered from 1 in the order in which they are scheduled to begin. If two
        operations begin at the same time, that of the client with the lower number comes first.
        """
        due = []
        for client, own in enumerate(self.clients):
            at_us = 0
            for place, operation in enumerate(own.operations):
                at_us += operation.think_us
                due.append((at_us, client, place))
        numbers = [[0] * len(client.operations) for client in self.clients]
        for number, (_, client, place) in enumerate(sorted(due), start=1):
            numbers[client][place] = number
        return tuple(tuple(one) for one in numbers)


def default_settings(system: str) -> Mapping[str, int | bool]:
    """Return the members' settings of a schedule whose text contains no settings."""
    return SIMULATED_SETTINGS if system == SIMULATED else {}


def needed_settings(
    faults: Iterable[ScheduledFault], system: str
) -> Mapping[str, int | bool]:
    """Return the settings that members of `system` need to survive `faults`.

    If a fault loses data, members of this project's own store need a sealed log. If a fault enables
    authentication, the harness must log in to end it. A setting then makes logins cost little CPU
    time, so that faults end promptly.
    """
    values = [one.fault for one in faults]
    found: dict[str, int | bool] = {}
    if system in (SIMULATED, PYTHON_NODE) and any(map(loses_data, values)):
        found["seal_log"] = True
    if system in (PYTHON_NODE, ETCD) and any(isinstance(one, Authentication) for one in values):
        found["password_cost_log2"] = PASSWORD_COST_LOG2_LEAST
    return found


def plain_settings(schedule: Schedule) -> dict[str, int | bool]:
    """Return the default settings of the schedule's system, and those that its faults need."""
    needed = needed_settings(schedule.faults, schedule.system)
    return {**default_settings(schedule.system), **needed}


def has_plain_environment(schedule: Schedule) -> bool:
    """Return whether settings, network and disks are the default, and `buggify` is False."""
    return with_plain_environment(schedule) == schedule


def with_plain_environment(schedule: Schedule) -> Schedule:
    """Return a copy of `schedule` with default settings, network and disks.

    `buggify` is False in the copy. Members, operations and faults are the same.
    """
    return replace(
        schedule, settings=plain_settings(schedule), network=IDEAL_NETWORK,
        disk=IDEAL_DISK, deposed_longer_by=0, buggify=False,
    )


def fixed_options(schedule: Schedule) -> Options:
    """Return the options of `schedule`, changed so that they agree with its other fields.

    `store`, `name` and the options that only guide the drawing get their default values. An option
    that repeats a field of the schedule, such as the seed, gets the value of this field. The number
    of clients is kept even if shrinking has removed clients, because the final reads must include
    the keys of all original clients.
    """
    return replace(
        schedule.options, swarm=False, nemesis=(), nodes=(len(schedule.members),),
        aim=(), rate=DEFAULTS.rate, fault_pace=DEFAULTS.fault_pace, seed=schedule.seed,
        time_limit_s=max(schedule.time_limit_ms, 1) / 1000,
        follower_share=DEFAULTS.follower_share, bound_share=DEFAULTS.bound_share,
        store=DEFAULTS.store, name="",
    )


def fixed(schedule: Schedule) -> Schedule:
    """Return a copy of `schedule` whose options agree with its other fields."""
    return replace(schedule, options=fixed_options(schedule))


def clients_of(
    operations: Iterable[TimedOperation], clients: int = 1
) -> tuple[ClientOperations, ...]:
    """Divide the timed `operations` among their clients.

    Returns at least `clients` clients; some may have no operations.
    """
    own: dict[int, list[ScheduledOperation]] = {client: [] for client in range(clients)}
    last_us: dict[int, int] = {}
    for one in sorted(operations, key=lambda timed: timed.at_us):
        think_us = one.at_us - last_us.get(one.client, 0)
        last_us[one.client] = one.at_us
        own.setdefault(one.client, []).append(replace(one.operation, think_us=think_us))
    count = max(own, default=-1) + 1
    return tuple(ClientOperations(tuple(own.get(client, ()))) for client in range(count))


def with_operations(schedule: Schedule, operations: Mapping[int, TimedOperation]) -> Schedule:
    """Return a copy of `schedule` that contains only `operations`.

    The keys of `operations` are the numbers that the operations have in `schedule`. The operations
    are then numbered anew, and clients without operations are removed. A fault at a step of an
    operation refers to the new number of this operation, or is removed together with it.
    """
    kept = sorted(operations.items(), key=lambda one: (one[1].at_us, one[1].client, one[0]))
    clients = {client: place for place, client in enumerate(sorted({o.client for _, o in kept}))}
    numbers = {old: new for new, (old, _) in enumerate(kept, start=1)}
    return with_changes(
        schedule,
        clients=clients_of(replace(one, client=clients[one.client]) for _, one in kept),
        faults=tuple(_renumbered(schedule.faults, numbers)),
    )


def _renumbered(
    faults: Iterable[ScheduledFault], numbers: Mapping[int, int]
) -> Iterator[ScheduledFault]:
    for scheduled in faults:
        fault = scheduled.fault
        if not isinstance(fault, AtStep) or not fault.operation:
            yield scheduled
        elif fault.operation in numbers:
            moved = replace(fault, operation=numbers[fault.operation])
            yield replace(scheduled, fault=moved)


def with_changes(schedule: Schedule, **changed: Any) -> Schedule:
    """Return a copy of `schedule` with the fields in `changed`, and with matching options."""
    return fixed(replace(schedule, **changed))


def with_seed(schedule: Schedule, seed: int) -> Schedule:
    """Return a copy of `schedule` with another seed for what is drawn during the run.

    Operations and faults are the same.
    """
    return with_changes(schedule, seed=seed, member_seeds=member_seeds(seed, schedule.members))


def member_seeds(seed: int, members: Iterable[str]) -> tuple[int, ...]:
    """Return one seed for each member, derived from the seed of the run."""
    return tuple(subseed(seed, "member", name) >> 1 for name in members)


def describe(schedule: Schedule) -> str:
    """Return the size of a schedule in one line: `3 members, 1 fault, 2 operations, 0.5 s`."""
    faults, operations = schedule.size
    counts = (
        (len(schedule.members), "member"), (faults, "fault"), (operations, "operation"),
        *([(len(schedule.watchers), "watcher")] if schedule.watchers else []),
    )
    text = ", ".join(counted(count, what) for count, what in counts)
    return f"{text}, {schedule.time_limit_ms / 1000:g} s"
