"""Draws the schedule of a run from its options and a seed.

This module is pure: the same options and seed give the same schedule in any process. Each consumer
draws from a separate random stream (`splitbrain.histories.random_stream`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from splitbrain.harness.drawing.operation_drawing import draw_operations
from splitbrain.harness.drawing.seed import seed_or_drawn
from splitbrain.harness.drawing.swarm_options import (
    Environment,
    draw_disk_crash_settings,
    draw_environment,
    draw_lease_settings,
    draw_limits_settings,
    draw_options,
    draw_watch_settings,
)
from splitbrain.harness.drawing.watcher_drawing import draw_watchers
from splitbrain.harness.errors import BadArguments, SplitbrainError
from splitbrain.harness.known_bugs.avoid import faults_without, workload_options_without
from splitbrain.harness.known_bugs.catalogue import excused_bugs
from splitbrain.harness.schedule.operation import ClientOperations
from splitbrain.harness.schedule.options import Options, read_options
from splitbrain.harness.schedule.schedule import (
    SIMULATED,
    Schedule,
    default_settings,
    member_seeds,
    needed_settings,
)
from splitbrain.harness.systems.factory import (
    capabilities_of,
    failpoint_steps,
    tested_version,
)
from splitbrain.harness.systems.member_settings.setting_flags import SETTING_FLAGS
from splitbrain.harness.workloads.workload import Workload
from splitbrain.harness.workloads.workload_of_run import workload_of
from splitbrain.histories.random_stream import stream
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault_drawing import draw_faults
from splitbrain.nemesis.fault_frequency import tempo_for
from splitbrain.nemesis.fault_kinds import KINDS
from splitbrain.nemesis.moment_drawing import aimed

NODES_DRAWN = (1, 3, 3, 3, 5)
"""If the options do not contain the number of members, one of these is drawn."""


def draw_schedule(options: Options) -> Schedule:
    """Draw the schedule that `options` and their seed determine.

    If the options contain no seed, a random seed is drawn. If the options name known bugs of the
    tested store, and the tested version has such a bug, the triggers of that bug are not drawn.
    Raises BadArguments for an unknown workload, system or kind of fault, and for a kind of fault
    that the system does not support.
    """
    options = msgspec.structs.replace(options, seed=seed_or_drawn(options.seed))
    drawn = without_triggers(options)
    workload = workload_of(drawn)
    schedule = draw_for(drawn, workload, capabilities_of(options))
    return msgspec.structs.replace(schedule, options=options)


def without_triggers(options: Options) -> Options:
    """Return `options`, changed so that the run does not trigger the known bugs that they name.

    Raises BadArguments if an option of the workload asks for such a trigger.
    """
    bugs = excused_bugs(options.known, tested_version(options)) if options.known else ()
    if not bugs:
        return options
    faults = faults_without(bugs, options.workload, _count_of_members(options), options.nemesis)
    return msgspec.structs.replace(
        options, nemesis=faults, workload_options=workload_options_without(
            bugs, options.workload, options.workload_options, faults
        ),
    )


def is_drawn(schedule: Schedule) -> bool:
    """Return whether `draw_schedule` draws exactly `schedule` from its options and seed."""
    try:
        return draw_schedule(schedule.options) == schedule
    except SplitbrainError:
        return False


def draw_swarm_schedule(seed: int, given: Mapping[str, Any]) -> Schedule:
    """Draw the schedule of one seed of a campaign of simulated runs.

    All runs have the options in `given`. The seed determines the other options, too.
    """
    return draw_schedule(read_options(draw_options(seed, given)))


def draw_for(
    options: Options, workload: Workload, capabilities: Collection[str] = tuple(KINDS)
) -> Schedule:
    """Draw a schedule of `workload` for a system that supports only some kinds of faults.

    `capabilities` are the kinds that it supports. Raises BadArguments if the options ask for
    another kind.
    """
    options = msgspec.structs.replace(options, seed=seed_or_drawn(options.seed))
    seed = options.seed
    assert seed is not None
    count = _count_of_members(options)
    members = tuple(f"n{number}" for number in range(1, count + 1))
    time_limit_ms = round(options.time_limit_s * 1000)
    try:
        faults = draw_faults(
            seed, options.nemesis, time_limit_ms, members, capabilities,
            tempo_for(time_limit_ms, options.fault_pace), snapshots=options.swarm,
            steps=failpoint_steps(options),
        )
    except FaultError as problem:
        raise BadArguments(str(problem)) from problem
    if options.aim:
        faults = tuple(aimed(faults, options.aim, stream(seed, "nemesis", "moments")))
    environment = draw_environment(seed) if options.swarm else Environment(
        settings=dict(default_settings(options.system))
    )
    own = member_settings(workload, options.system)
    if options.swarm and options.workload == "lease":
        own = draw_lease_settings(seed)
    if options.swarm and options.workload == "limits":
        own = {**own, **draw_limits_settings(seed)}
    if options.swarm and options.workload == "watch":
        own = {**own, **draw_watch_settings(seed)}
    if options.swarm and "disk_crash" in options.nemesis:
        own = {**own, **draw_disk_crash_settings(seed)}
    return Schedule(
        options=options,
        seed=seed,
        members=members,
        member_seeds=member_seeds(seed, members),
        clients=tuple(
            ClientOperations(tuple(draw_operations(options, seed, client, count, workload)))
            for client in range(options.clients)
        ),
        faults=faults,
        time_limit_ms=time_limit_ms,
        watchers=draw_watchers(seed, workload, count, time_limit_ms, options.bound_share),
        settings={
            **environment.settings, **own, **needed_settings(faults, options.system)
        },
        network=environment.network,
        disk=environment.disk,
        deposed_longer_by=environment.deposed_longer_by,
        buggify=environment.buggify,
    )


def member_settings(workload: Workload, system: str) -> Mapping[str, int | bool]:
    """Return the settings of members that `workload` needs.

    Settings that `system` does not have are left out.
    """
    own: Callable[[], Mapping[str, int]] | None = getattr(workload, "member_settings", None)
    settings: Mapping[str, int | bool] = {} if own is None else own()
    if system == SIMULATED:
        return settings
    flags = SETTING_FLAGS.get(system, {})
    return {name: value for name, value in settings.items() if name in flags}


def _count_of_members(options: Options) -> int:
    assert options.seed is not None
    return stream(options.seed, "topology").choice(options.nodes or NODES_DRAWN)
