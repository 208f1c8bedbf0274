"""Runs real etcd again and again with random options, and collects the causes of invalid runs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from splitbrain.harness.drawing.etcd_hunt_options import KINDS, draw_process_options
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.failures.causes import Cause, causes_of
from splitbrain.harness.judging.result_text import reproduce_line
from splitbrain.harness.known_bugs.catalogue import excused_bugs
from splitbrain.harness.known_bugs.known_bug import parse_version
from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.options import Options, read_options
from splitbrain.harness.systems.factory import tested_version
from splitbrain.nemesis.fault_kinds import KINDS as FAULT_KINDS


class HuntedRun(msgspec.Struct, frozen=True):
    """A run of real etcd in a hunt, with the causes of its anomalies."""

    seed: int
    options: Options
    causes: tuple[Cause, ...]
    new: tuple[Cause, ...]
    """The causes that no earlier run of the hunt has shown."""
    seconds: float
    """The time from the beginning of the hunt to the end of this run."""
    folder: Path
    """The folder of the run. It is kept only if the run shows a new cause."""
    reproduce: str = ""
    error: str = ""
    """The reason why the run failed; "" if it did not fail."""


def hunt_processes(first: int, given: Mapping[str, Any], budget_s: float) -> Iterator[HuntedRun]:
    """Run real etcd with each seed from `first` on, until `budget_s` seconds are over.

    Yields each run. Raises BadArguments if the options are impossible, or if there is no etcd
    binary.
    """
    given = {**given, "system": given.get("system", "etcd")}
    tested = tested_version(read_options({**given, "nodes": [1]}))
    version = parse_version(tested.get("etcd", ""))
    if version is None:
        raise BadArguments(
            f"hunt with the system {given['system']}: expected etcd or simulated, because only "
            "their options can be drawn"
        )
    bugs = excused_bugs(["all"], tested)
    kinds = [kind for kind in dict.fromkeys(KINDS) if not FAULT_KINDS[kind].missing()]
    seen: dict[str, Cause] = {}
    began = time.monotonic()
    seed = first
    while time.monotonic() - began < budget_s:
        drawn, trigger = draw_process_options(seed, given, bugs, version, kinds)
        options = read_options(drawn)
        result = run_sync(options, report=False)
        causes = causes_of(result.results.verdicts, trigger)
        new = tuple(one for one in causes if one.name not in seen)
        seen.update({one.name: one for one in new})
        yield HuntedRun(
            seed=seed, options=options, causes=causes, new=new, folder=result.folder,
            seconds=time.monotonic() - began, reproduce=reproduce_line(result), error=result.error,
        )
        if not new:
            shutil.rmtree(result.folder, ignore_errors=True)
        seed += 1
