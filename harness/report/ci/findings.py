"""The runs and groups of failures that CI artifacts show, read from the database of runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from splitbrain.checkers.verdict import merge
from splitbrain.harness.schedule.command_line import shown
from splitbrain.harness.store.database.database import group_counts, open_database
from splitbrain.harness.store.database.query import Filter, find_runs
from splitbrain.harness.store.groups import Group, Groups
from splitbrain.harness.store.run_row import RunRow

RUNS_MAX = 5_000
"""The maximal number of runs in the artifacts: first those that are not valid, then the newest. The
counts include all runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A group of failures, or a failed run that belongs to none."""

    name: str
    runs: int
    because: str
    reproduce: str
    known: str = ""
    """Why the group is accepted; "" if it is not."""
    schedule: str = ""
    """The text of the smallest schedule; "" if there is none."""


@dataclass(frozen=True, slots=True)
class Findings:
    """The content of the artifacts. Of `runs`, those that are not valid come first."""

    counts: dict[str, int]
    runs: tuple[RunRow, ...]
    groups: tuple[Finding, ...]

    @property
    def valid(self) -> bool | None:
        """The verdict of all runs. Runs of accepted groups do not count; no run is unknown."""
        known = {one.name for one in self.groups if one.known}
        counted = [one.valid for one in self.runs if one.group not in known]
        if sum(one.valid is not True for one in self.runs) == RUNS_MAX:
            counted.append(False)  # there may be more failures than are shown
        return merge(counted) if self.runs else None

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def read_findings(store: Path, wanted: Filter) -> Findings:
    """What the artifacts of the runs that match `wanted` show. Raises DatabaseFailed."""
    with open_database(store) as connection:
        counts = find_runs(connection, wanted, limit=0).counts
        runs: tuple[RunRow, ...] = ()
        for verdicts in (("invalid", "unknown"), ("valid",)):
            chosen = msgspec.structs.replace(wanted, verdicts=verdicts)
            runs += find_runs(connection, chosen, limit=RUNS_MAX - len(runs)).runs
        counted = group_counts(connection)
    groups = Groups(store)
    names = dict.fromkeys(run.group for run in runs if run.group)
    known = {one.name: one for one in groups.all()}
    found = [
        _finding(groups, known[name], counted[name].runs) for name in names if name in known
    ]
    alone = [_of_run(run) for run in runs if run.valid is False and run.group not in known]
    return Findings(counts, runs, (*found, *alone))


def _finding(groups: Groups, group: Group, runs: int) -> Finding:
    file = groups.schedule_file(group)
    return Finding(
        name=group.name, runs=runs, because=group.because,
        known=group.accepted.reason if group.known() and group.accepted else "",
        schedule=file.read_text() if file.is_file() else "",
        reproduce=f"splitbrain sim --schedule {shown(file)}" if file.is_file() else group.reproduce,
    )


def _of_run(run: RunRow) -> Finding:
    return Finding(
        name=f"{run.test}, seed {run.seed}", runs=1, reproduce=run.reproduce,
        because=": ".join(one for one in (run.checker, run.kind, run.because) if one),
    )
