"""Draws a plan: the one place where chance decides what a run will do.

Pure: the same options and seed give the same plan, in any process. Each consumer
draws from a stream of its own (`splitbrain.histories.random_stream`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from random import Random

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.plan import ClientPlan, Plan, PlannedOperation
from splitbrain.harness.schedule.watchers import draw_watchers
from splitbrain.harness.workloads.workload import Draft, Workload
from splitbrain.histories.random_stream import stream, subseed
from splitbrain.nemesis.catalogue import KINDS
from splitbrain.nemesis.drawing import draw_schedule, tempo_for
from splitbrain.nemesis.errors import FaultError

NODES_DRAWN = (1, 3, 3, 3, 5)
"""How many members where the options do not say: three, and now and then one or five."""


def draw_plan(
    options: Options,
    seed: int,
    workload: Workload,
    capabilities: Collection[str] = tuple(KINDS),
) -> Plan:
    """The plan of a run with `options` and `seed`. `capabilities` are the kinds of faults
    that the system can suffer. Raises BadArguments if a kind asked for is not among them.
    """
    count = stream(seed, "topology").choice(options.nodes or NODES_DRAWN)
    members = tuple(f"n{number}" for number in range(1, count + 1))
    time_limit_ms = round(options.time_limit_s * 1000)
    try:
        faults = draw_schedule(
            seed, options.nemesis, time_limit_ms, members, capabilities,
            tempo_for(time_limit_ms, options.fault_pace), snapshots=options.swarm,
        )
    except FaultError as problem:
        raise BadArguments(str(problem)) from problem
    return Plan(
        seed=seed,
        members=members,
        member_seeds=tuple(subseed(seed, "member", name) >> 1 for name in members),
        clients=tuple(
            ClientPlan(tuple(_operations(options, seed, client, count, workload)))
            for client in range(options.clients)
        ),
        faults=faults,
        time_limit_ms=time_limit_ms,
        watchers=draw_watchers(seed, workload, count, time_limit_ms),
    )


def _operations(
    options: Options, seed: int, client: int, members: int, workload: Workload
) -> Iterator[PlannedOperation]:
    """As many operations as fit in the time limit if every one is answered at once.

    Gaps are exponential with the mean that makes all clients together begin `rate`
    operations a second: a Poisson process, as of many independent users.
    """
    drafts = workload.operations(stream(seed, "client", client), client)
    pace = stream(seed, "pace", client)
    target = stream(seed, "target", client)
    rate_per_us = options.rate / options.clients / 1e6
    limit_us = options.time_limit_s * 1e6
    due_us = 0.0
    for draft in drafts:
        if not isinstance(draft, Draft):
            raise BadArguments(
                f"the workload {options.workload} gave {draft!r:.100} as an operation; expected a "
                "splitbrain.Draft"
            )
        gap_us = round(pace.expovariate(rate_per_us))
        due_us += gap_us
        if due_us >= limit_us:
            return
        to_follower, member = _target(target, members, options.follower_share)
        yield PlannedOperation(
            think_us=gap_us,
            f=draft.f,
            request=draft.request,
            member=member,
            to_follower=to_follower,
            expect_last_seen=draft.expect_last_seen,
            revision_back=draft.revision_back,
            after_ok=draft.after_ok,
            append_to_seen=draft.append_to_seen,
        )


def _target(chance: Random, members: int, follower_share: float) -> tuple[bool, int]:
    """Whether to a follower, and which number; the same draws whatever the share."""
    to_follower = chance.random() < follower_share
    return to_follower, chance.randrange(members)
