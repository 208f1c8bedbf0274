"""Reads the schedule that a command runs from a path, and changes it by options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.command_line import NOT_OF_THE_RUN
from splitbrain.harness.schedule.options import check, flag_of
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.store.schedule_source import schedule_at
from splitbrain.harness.systems.schedule_support import adapted

ALLOWED = ("system", "etcd_binary", "budget", "search_limit_s", "store", "name", "keep_data")
"""The options that a user may give together with a schedule. The schedule determines all others."""


def schedule_from(path: Path, given: Mapping[str, Any]) -> Schedule:
    """Read the schedule at `path`, and replace some of its options by those in `given`.

    If `given` contains another system, the schedule is adapted to that system. Raises BadArguments
    if the system does not support the schedule, or if an option in `given` is not in `ALLOWED`.
    """
    others = sorted(given.keys() - set(ALLOWED))
    if others:
        raise BadArguments(
            f"--{flag_of(others[0])} with a schedule: the schedule determines the run; only "
            f"{', '.join('--' + flag_of(name) for name in ALLOWED)} may be given with it"
        )
    schedule = schedule_at(path.resolve())
    system = given.get("system", schedule.system)
    schedule = adapted(schedule, system, given.get("etcd_binary", ""))
    kept = {
        name: value for name, value in given.items()
        if name in (*NOT_OF_THE_RUN, "budget", "search_limit_s")
    }
    schedule = replace(schedule, options=replace(schedule.options, **kept))
    check(schedule.options)
    return schedule
