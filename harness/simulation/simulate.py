"""Runs a schedule in simulation: virtual time, simulated network and disks, in one process.

Clients, nemesis and run folder are the same as in a run of real processes.
"""

from __future__ import annotations

import functools
import gc
import sys
import time
import warnings

from splitbrain.harness.drive.progress import Progress, Silent
from splitbrain.harness.drive.run_phases import Drive
from splitbrain.harness.mutants.plant import plant_once
from splitbrain.harness.schedule.schedule import Schedule, default_settings
from splitbrain.harness.simulation.cluster import SimulatedCluster
from splitbrain.harness.simulation.digest import digest
from splitbrain.harness.simulation.freed_coroutines import ClosingErrorsIgnored
from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.harness.simulation.simulated_system import SimulatedSystem
from splitbrain.harness.simulation.simulation_result import SimulatedRun
from splitbrain.harness.simulation.state_recording import StateRecorder
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.harness.store.records import RunRecord
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.systems.etcd_like.cluster_settings import WATCH_PROGRESS_MS
from splitbrain.harness.systems.member_settings.simulated_settings import config_fields
from splitbrain.harness.workloads.catalogue import make_workload
from splitbrain.histories.garbage_collection import collector_paused, freeze_all_values
from splitbrain.histories.recorder import Recorder

AGREEMENT_MS = 20_000
"""Healthy members must agree within this virtual time, which is enough for many elections and
retries. If they do not, an invariant is violated. A run with a shorter `quiet_timeout_ms` does not
check this."""


def simulate(
    schedule: Schedule,
    folder: RunFolder,
    progress: Progress | None = None,
    *,
    end_when_violated: bool = False,
    recorder: StateRecorder | None = None,
) -> SimulatedRun:
    """Run `schedule` in virtual time and write the files of the run into `folder`.

    The checkers do not run yet. With `end_when_violated`, the load ends when the first invariant is
    violated. If `recorder` is given, it records the states of the members. Raises BadArguments if
    this Python process already contains a planted bug that is not in the schedule.
    """
    with warnings.catch_warnings(), ClosingErrorsIgnored(), collector_paused():
        # A process that was killed leaves coroutines that were never started.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        simulated = _simulate(
            schedule, folder, progress or Silent(), end_when_violated=end_when_violated,
            recorder=recorder,
        )
        gc.collect()
    return simulated


def _simulate(
    schedule: Schedule, folder: RunFolder, progress: Progress, *, end_when_violated: bool,
    recorder: StateRecorder | None,
) -> SimulatedRun:
    plant_once(schedule.options.mutant)
    began = time.perf_counter()
    _freeze_loaded_objects(len(sys.modules))
    loop = VirtualLoop()
    try:
        cluster = SimulatedCluster(loop, schedule, member_settings(schedule))
        if recorder is not None:
            recorder.attach(cluster)
        record = loop.run_until_complete(
            drive(schedule, folder, cluster, progress, end_when_violated=end_when_violated)
        )
        quiet_ms = schedule.options.quiet_timeout_ms
        if record.quiet is False and quiet_ms >= AGREEMENT_MS:
            cluster.invariants.disagreed(quiet_ms)
        simulated_s = loop.time()
        unhandled = tuple(loop.unhandled)
        found = digest(folder.path, schedule.members)
    finally:
        loop.close()
    return SimulatedRun(
        digest=found,
        simulated_s=simulated_s,
        wall_s=time.perf_counter() - began,
        events=loop.events,
        violations=(*cluster.invariants.violations, *(f"unhandled: {one}" for one in unhandled)),
        conditions=cluster.coverage.counts,
        first_reached_s=cluster.coverage.first_s,
    )


def member_settings(schedule: Schedule) -> dict[str, object]:
    """Return the settings of every simulated member: fields of `splitbrain.node.config.Config`."""
    watching = {"watch_progress_interval_ms": WATCH_PROGRESS_MS} if schedule.watchers else {}
    return {
        **default_settings(schedule.system),
        "heartbeat_ms": schedule.options.heartbeat_ms,
        "election_ms": schedule.options.election_ms,
        **watching,
        **config_fields(schedule.settings),
    }


async def drive(
    schedule: Schedule,
    folder: RunFolder,
    cluster: SimulatedCluster,
    progress: Progress,
    *,
    end_when_violated: bool = False,
) -> RunRecord:
    """Run the load, the faults and the final phase of `schedule` against `cluster`.

    The function runs on the virtual loop of the cluster.
    """
    system = SimulatedSystem(cluster, folder.path)
    recorder = Recorder(
        folder.history, folder.nemesis, clock_ns=lambda: cluster.loop.now_ns, buffered=True
    )
    workload = make_workload(schedule.options.workload, schedule.options.workload_options)
    run = Drive(
        schedule=schedule, workload=workload, system=system, folder=folder, progress=progress,
        open_clients=system.open_clients, recorder=recorder,
    )
    cluster.step_limit.when_exceeded = run.interrupt
    if end_when_violated:
        _interrupt_when_violated(cluster, run)
    return await run.run()


@functools.cache
def _freeze_loaded_objects(_modules: int) -> None:
    """Exclude all present objects from garbage collection.

    After that, the collection at the end of each run examines only the objects of that run. The
    argument is the number of loaded modules. Because the function is cached, it does nothing if
    this number has not changed since an earlier call. The first run changes the number, because it
    loads modules.
    """
    freeze_all_values()


def _interrupt_when_violated(cluster: SimulatedCluster, run: Drive) -> None:
    loop, invariants = cluster.loop, cluster.invariants

    def observe(process: Process) -> None:
        invariants(process)
        if invariants.violations:
            loop.observe = invariants
            loop.soon(None, run.interrupt)

    loop.observe = observe
