"""A schedule: one simulated run as a value, whole, and small enough to read.

A plan says what is done to whom and when; a schedule adds what a plan leaves to the seed
and the options: how members are set, and how their world behaves. It is what shrinking
makes smaller, what hypothesis draws, what a file holds (`splitbrain.harness.schedule.text`), and
what `splitbrain sim --schedule`, `shrink` and `replay` run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from splitbrain.harness.drawing.draw import draw_plan
from splitbrain.harness.drawing.swarm import Surroundings, draw_options, draw_surroundings
from splitbrain.harness.schedule.options import DEFAULTS, Options, read_options
from splitbrain.harness.schedule.plan import ClientPlan, Plan, PlannedOperation
from splitbrain.harness.systems.factory import capabilities_of
from splitbrain.harness.workloads.catalogue import make_workload
from splitbrain.histories.random_stream import subseed
from splitbrain.nemesis.fault import AtStep, PlannedFault


class TimedOperation(msgspec.Struct, frozen=True):
    """An operation at its own time, which is how a person reads a schedule: `client`
    begins it `at_us` after the load began, or when its operation before is answered."""

    at_us: int
    client: int
    operation: PlannedOperation
    """Its `think_us` says nothing here."""


class Schedule(msgspec.Struct, frozen=True):
    """`fails_by`: the checker that finds the run invalid, "" where none is known to."""

    options: Options
    plan: Plan
    surroundings: Surroundings = Surroundings()
    fails_by: str = ""

    @property
    def operations(self) -> tuple[TimedOperation, ...]:
        """In the order of their numbers (`Plan.order`)."""
        found = []
        for client, planned in enumerate(self.plan.clients):
            at_us = 0
            for place, operation in enumerate(planned.operations):
                at_us += operation.think_us
                found.append((at_us, client, place, operation))
        found.sort(key=lambda one: one[:3])
        return tuple(TimedOperation(at, client, one) for at, client, _, one in found)

    @property
    def size(self) -> tuple[int, int]:
        """How many faults, how many operations."""
        return len(self.plan.faults), sum(len(one.operations) for one in self.plan.clients)


def settled_options(options: Options, plan: Plan) -> Options:
    """`options` without what the plan says already, and without where runs are kept. How
    many clients there were is kept: what they wrote is read at the end, whoever is left."""
    return replace(
        options, system="simulated", swarm=False, nemesis=(), nodes=(len(plan.members),),
        rate=DEFAULTS.rate, fault_pace=DEFAULTS.fault_pace, seed=plan.seed,
        time_limit_s=max(plan.time_limit_ms, 1) / 1000, follower_share=DEFAULTS.follower_share,
        store=DEFAULTS.store, name="",
    )


def schedule_of(
    options: Options, plan: Plan, surroundings: Surroundings | None = None
) -> Schedule:
    """The schedule that a simulated run of `options` and `plan` is."""
    if surroundings is None:
        surroundings = draw_surroundings(plan.seed) if options.swarm else Surroundings()
    return Schedule(settled_options(options, plan), plan, surroundings)


def drawn_schedule(seed: int, given: Mapping[str, Any]) -> Schedule:
    """What `splitbrain sim --seed SEED` runs; `given` are options that are not drawn."""
    options = read_options(draw_options(seed, given))
    workload = make_workload(options.workload, options.workload_options)
    return schedule_of(options, draw_plan(options, seed, workload, capabilities_of(options)))


def clients_of(operations: Iterable[TimedOperation], clients: int = 1) -> tuple[ClientPlan, ...]:
    """The plans of the clients that `operations`, at their times, are of; at least `clients`."""
    own: dict[int, list[PlannedOperation]] = {client: [] for client in range(clients)}
    last_us: dict[int, int] = {}
    for one in sorted(operations, key=lambda timed: timed.at_us):
        think_us = one.at_us - last_us.get(one.client, 0)
        last_us[one.client] = one.at_us
        own.setdefault(one.client, []).append(replace(one.operation, think_us=think_us))
    count = max(own, default=-1) + 1
    return tuple(ClientPlan(tuple(own.get(client, ()))) for client in range(count))


def with_operations(schedule: Schedule, operations: Mapping[int, TimedOperation]) -> Schedule:
    """The same with these operations alone, by the numbers that they have now. Clients
    without any go. A fault at a step of an operation keeps to it, or goes with it."""
    kept = sorted(operations.items(), key=lambda one: (one[1].at_us, one[1].client, one[0]))
    clients = {client: place for place, client in enumerate(sorted({o.client for _, o in kept}))}
    numbers = {old: new for new, (old, _) in enumerate(kept, start=1)}
    return with_plan(
        schedule,
        clients=clients_of(replace(one, client=clients[one.client]) for _, one in kept),
        faults=tuple(_renumbered(schedule.plan.faults, numbers)),
    )


def _renumbered(
    faults: Iterable[PlannedFault], numbers: Mapping[int, int]
) -> Iterator[PlannedFault]:
    for planned in faults:
        fault = planned.fault
        if not isinstance(fault, AtStep) or not fault.operation:
            yield planned
        elif fault.operation in numbers:
            moved = replace(fault, operation=numbers[fault.operation])
            yield replace(planned, fault=moved)


def with_plan(schedule: Schedule, **changed: Any) -> Schedule:
    """The same with another plan; what its options repeat of it follows."""
    plan = replace(schedule.plan, **changed)
    return replace(schedule, plan=plan, options=settled_options(schedule.options, plan))


def with_seed(schedule: Schedule, seed: int) -> Schedule:
    """The same operations and faults, with other draws of the world's."""
    return with_plan(schedule, seed=seed, member_seeds=member_seeds(seed, schedule.plan.members))


def member_seeds(seed: int, members: Iterable[str]) -> tuple[int, ...]:
    return tuple(subseed(seed, "member", name) >> 1 for name in members)


def described(schedule: Schedule) -> Iterator[str]:
    """What it comes to, in a line or two."""
    faults, operations = schedule.size
    counts = (
        (len(schedule.plan.members), "member"), (faults, "fault"), (operations, "operation"),
        *([(len(schedule.plan.watchers), "watcher")] if schedule.plan.watchers else []),
    )
    said = ", ".join(f"{count} {what}{'s' * (count != 1)}" for count, what in counts)
    yield f"{said}, {schedule.plan.time_limit_ms / 1000:g} s"
