"""Many seeds, on several cores: each run on its own, its folder kept only if it is not valid."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from splitbrain.harness.drawing.draw import draw_plan
from splitbrain.harness.drawing.swarm import draw_options
from splitbrain.harness.schedule.options import read_options
from splitbrain.harness.simulation.run import simulate
from splitbrain.harness.systems.factory import capabilities_of
from splitbrain.harness.systems.services import check_services
from splitbrain.harness.workloads.catalogue import make_workload

FIRST_SEED_BITS = 32
"""Of a first seed that is drawn: few digits to type."""


def first_seed(given: int | None) -> int:
    """Where a campaign or a hunt begins: drawn, unless it was given."""
    return secrets.randbits(FIRST_SEED_BITS) if given is None else given


class SeedResult(msgspec.Struct, frozen=True):
    """What became of one seed."""

    seed: int
    valid: bool | None
    digest: str
    simulated_s: float
    wall_s: float
    found_by: tuple[str, ...] = ()
    """Checkers that say invalid, and invariants that did not hold."""
    because: str = ""
    """The first anomaly, or why it is unknown."""
    conditions: dict[str, int] = {}
    """How often each condition was reached."""
    operations: dict[str, int] = {}


def run_seed(seed: int, given: Mapping[str, Any], folder: Path | None = None) -> SeedResult:
    """Draw and run one seed of a campaign. `given`: options that are not drawn. `folder`
    None: a temporary one."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="splitbrain-", dir=quick_folder()) as made:
            _under_way[:] = [Path(made)]
            return run_seed(seed, given, Path(made))
    options = read_options(draw_options(seed, given))
    workload = make_workload(options.workload, options.workload_options)
    check_services(options.system, workload)
    plan = draw_plan(options, seed, workload, capabilities_of(options))
    run = simulate(options, plan, folder)
    verdicts = run.result.results.verdicts
    wrong = [one for one in verdicts if one.valid is False]
    unknown = [f"{one.checker}: {one.why}" for one in verdicts if one.valid is None]
    because = "; ".join(
        f"{one.checker}: {one.anomalies[0].because}" for one in wrong if one.anomalies
    )
    return SeedResult(
        seed, run.valid, run.digest, run.simulated_s, run.wall_s,
        tuple(one.checker for one in wrong),
        because or "; ".join(unknown) or run.result.error,
        dict(run.conditions),
        dict(run.result.results.operations.get("all", {})),
    )


def campaign(
    seeds: Iterable[int], given: Mapping[str, Any], workers: int = 1
) -> Iterator[SeedResult]:
    """Results as they come; with one worker in the order of the seeds."""
    if workers == 1:
        for seed in seeds:
            yield run_seed(seed, given)
        return
    context = multiprocessing.get_context("forkserver")
    # What a run needs is imported once, not by each of the workers.
    context.set_forkserver_preload([
        "splitbrain.harness.campaign.campaign", "splitbrain.checkers.catalogue",
    ])
    with context.Pool(workers, _settle_worker) as pool:
        yield from pool.imap_unordered(_job, ((seed, dict(given)) for seed in seeds))


_under_way: list[Path] = []
"""The temporary folder of this process' run."""


def _settle_worker() -> None:
    """A Ctrl-C is the campaign's own to hear. It ends its workers by a SIGTERM, and each
    removes its run's folder then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)


def leave(number: int, _frame: FrameType | None) -> None:
    """Handles a signal that ends this process: the folder of its run goes with it."""
    # Not by an exception: it could arise where it is not heard, and the worker would go on.
    for folder in _under_way:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(128 + number)


def _job(job: tuple[int, dict[str, Any]]) -> SeedResult:
    return run_seed(*job)


def quick_folder() -> str | None:
    """Memory, where there is a file system of it: a run's files are read once and dropped.
    None, the usual place for temporary files, where TMPDIR names one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() and "TMPDIR" not in os.environ else None


def hunt(
    given: Mapping[str, Any],
    budget_s: float,
    first_seed: int = 0,
    told: Callable[[SeedResult], None] = lambda _: None,
) -> tuple[SeedResult | None, int, float]:
    """Search seed after seed until something is invalid or the time is up: what was found,
    how many seeds were tried, and the wall time in s."""
    began = time.monotonic()
    tried = 0
    while time.monotonic() - began < budget_s:
        result = run_seed(first_seed + tried, given)
        tried += 1
        told(result)
        if result.valid is False:
            return result, tried, time.monotonic() - began
    return None, tried, time.monotonic() - began
