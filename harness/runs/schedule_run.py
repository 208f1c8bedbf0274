"""Runs a schedule as any run is run: a folder in the store, a report, an exit code."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
from msgspec.structs import replace

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.judging.judge import RunResult
from splitbrain.harness.progress import Progress, Silent
from splitbrain.harness.runs.execute import prepare
from splitbrain.harness.schedule.schedule import Schedule, schedule_of
from splitbrain.harness.schedule.text import SUFFIX, read_schedule, write_schedule
from splitbrain.harness.simulation.run import simulate
from splitbrain.harness.store.repro import read_repro, shown
from splitbrain.harness.store.run_folder import write_json

SCHEDULE_FILE = "run" + SUFFIX
"""In a run's folder: what ran, where its plan and options do not say all of it."""


def is_schedule(path: Path) -> bool:
    return path.is_file() and path.suffix == SUFFIX


def schedule_at(path: Path) -> Schedule:
    """What a schedule's file holds, or what a run's folder (or a file in it) ran.

    Raises BadArguments if it is neither.
    """
    if is_schedule(path):
        return read_schedule(path)
    folder = path if path.is_dir() else path.parent
    if (folder / SCHEDULE_FILE).is_file():
        return read_schedule(folder / SCHEDULE_FILE)
    repro, plan = read_repro(path)
    if repro.options.system not in ("simulated", "python_node"):
        raise BadArguments(
            f"{path} is a run of {repro.options.system}, which cannot be simulated: "
            "only this project's own member can"
        )
    return schedule_of(repro.options, plan)


def run_schedule(
    schedule: Schedule,
    store: str = "store",
    progress: Progress | None = None,
    report: bool = True,
) -> RunResult:
    """One simulated run in a folder of `store`. Raises BadArguments for what cannot be."""
    progress = progress or Silent()
    given = replace(schedule.options, store=store)
    options, plan, folder = prepare(given, schedule.plan)
    write_schedule(schedule, folder / SCHEDULE_FILE)
    with progress:
        run = simulate(options, plan, folder, schedule.surroundings, progress)
    line = f"splitbrain sim --schedule {shown(folder / SCHEDULE_FILE)}"
    results = msgspec.structs.replace(run.result.results, reproduce=line)
    write_json(folder / "results.json", results)
    result = dataclasses.replace(run.result, results=results)
    if not report:
        return result
    from splitbrain.harness.report import write

    return dataclasses.replace(result, report=write(folder))
