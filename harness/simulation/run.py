"""One run in simulation: the same plan, clients, checkers, report and folder as a real one."""

from __future__ import annotations

import dataclasses
import functools
import gc
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.harness.drawing.swarm import Surroundings, draw_surroundings, settings_of
from splitbrain.harness.drive.drive import Drive
from splitbrain.harness.judging.judge import RunResult, checkers_of, judge, merged
from splitbrain.harness.mutants.plant import plant
from splitbrain.harness.progress import Progress, Silent
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.plan import Plan
from splitbrain.harness.simulation.cluster import SimulatedCluster
from splitbrain.harness.simulation.digest import digest
from splitbrain.harness.simulation.loop import VirtualLoop
from splitbrain.harness.simulation.process import Process
from splitbrain.harness.simulation.system import SimulatedSystem
from splitbrain.harness.store.records import RunRecord
from splitbrain.harness.store.run_folder import write_json
from splitbrain.harness.systems.settings import WATCH_PROGRESS_MS
from splitbrain.harness.workloads.catalogue import make_workload
from splitbrain.histories.recorder import Recorder

INVARIANTS = "invariants"
"""The name of the verdict on what must hold at every step."""
AGREEMENT_MS = 20_000
"""Members that are left alone for so long, of virtual time, must agree: many elections fit
into it, and whatever is retried. A run that waits for less says nothing of it."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """What became of a simulated run."""

    result: RunResult
    digest: str
    simulated_s: float
    wall_s: float
    events: int
    """Callbacks that the loop ran."""
    unhandled: tuple[str, ...]
    """Errors that a member let fall."""
    conditions: Mapping[str, int]
    """How often each of `splitbrain.harness.simulation.conditions` was reached."""

    @property
    def valid(self) -> bool | None:
        return self.result.valid


def simulate(
    options: Options,
    plan: Plan,
    folder: Path,
    surroundings: Surroundings | None = None,
    progress: Progress | None = None,
    *,
    only: str = "",
) -> Simulated:
    """Run `plan` in virtual time, leave its folder as `splitbrain.harness.runs.execute` does, and
    judge it.

    `only`: a checker's name; then nothing else is judged, and a run whose `invariants` are
    all that is asked for ends its load when one did not hold.
    """
    if surroundings is None:
        surroundings = draw_surroundings(plan.seed) if options.swarm else Surroundings()
    with warnings.catch_warnings():
        # A process that was killed leaves coroutines that never began.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        simulated = _simulate(options, plan, folder, surroundings, progress or Silent(), only)
        gc.collect()
    return simulated


def _simulate(
    options: Options,
    plan: Plan,
    folder: Path,
    surroundings: Surroundings,
    progress: Progress,
    only: str,
) -> Simulated:
    plant(options.mutant)
    began = time.perf_counter()
    _keep_what_is_loaded()
    loop = VirtualLoop()
    try:
        cluster = SimulatedCluster(
            loop, plan.seed, plan.members, surroundings,
            {**settings_of(options, surroundings), **_watch_settings(plan)}, tracing=options.trace,
        )
        brief = only == INVARIANTS
        record = loop.run_until_complete(
            drive(options, plan, folder, cluster, progress, brief=brief)
        )
        if record.quiet is False and options.quiet_timeout_ms >= AGREEMENT_MS:
            cluster.watch.disagreed(options.quiet_timeout_ms)
        simulated_s = loop.time()
        unhandled = tuple(loop.unhandled)
        found = digest(folder, plan.members)
    finally:
        loop.close()
    result = _with_invariants(_judged(folder, options, only), cluster, unhandled, found)
    return Simulated(
        result, found, simulated_s, time.perf_counter() - began, loop.events, unhandled,
        cluster.coverage.counts,
    )


def _watch_settings(plan: Plan) -> dict[str, int]:
    return {"watch_progress_interval_ms": WATCH_PROGRESS_MS} if plan.watchers else {}


def _with_invariants(
    judged: RunResult, cluster: SimulatedCluster, unhandled: tuple[str, ...], found: str
) -> RunResult:
    """The verdict on what held at every step beside those on the history."""
    violations = [*cluster.watch.violations, *(f"nobody took {one}" for one in unhandled)]
    verdict = Verdict(
        INVARIANTS, not violations,
        tuple(Anomaly("violated", because=one) for one in violations),
        {"steps": cluster.loop.events, "violated": len(violations)},
    )
    results = judged.results
    verdicts = (*results.verdicts, verdict)
    results = msgspec.structs.replace(
        results, verdicts=verdicts, valid=merged(verdicts, judged.error), digest=found
    )
    write_json(judged.folder / "results.json", results)
    return dataclasses.replace(judged, results=results, digest=found)


async def drive(
    options: Options,
    plan: Plan,
    folder: Path,
    cluster: SimulatedCluster,
    progress: Progress,
    *,
    brief: bool = False,
) -> RunRecord:
    """`brief`: end the load at the first invariant that does not hold."""
    system = SimulatedSystem(cluster, folder)
    recorder = Recorder(
        folder / "history.jsonl", folder / "nemesis.jsonl", clock_ns=lambda: cluster.loop.now_ns
    )
    workload = make_workload(options.workload, options.workload_options)
    driven = Drive(
        options, plan, workload, system, folder, progress,
        open_clients=system.open_clients, recorder=recorder,
    )
    if brief:
        _end_when_violated(cluster, driven)
    return await driven.run()


@functools.cache
def _keep_what_is_loaded() -> None:
    """What this process holds before its first run stays: the collection after each run,
    which the run's own cycles need, does not look at it again."""
    gc.collect()
    gc.freeze()


def _judged(folder: Path, options: Options, only: str) -> RunResult:
    if not only:
        return judge(folder)
    # Invariants are no checker of a history: something cheap stands in.
    return judge(folder, checkers_of(options, ["statistics" if only == INVARIANTS else only]))


def _end_when_violated(cluster: SimulatedCluster, driven: Drive) -> None:
    loop, watch = cluster.loop, cluster.watch

    def observe(process: Process) -> None:
        watch(process)
        if watch.violations:
            loop.observe = watch
            loop.soon(None, driven.interrupt)

    loop.observe = observe
