"""Reads the runs and failures that CI artifacts show. Their source is the database of runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from splitbrain.checkers.verdict import merge
from splitbrain.harness.schedule.command_line import shown
from splitbrain.harness.store.database.database import group_counts, open_database
from splitbrain.harness.store.database.query import Filter, find_runs
from splitbrain.harness.store.failure_groups import Group, Groups
from splitbrain.harness.store.run_row import RunRow

RUNS_MAX = 5_000
"""The maximal number of runs in the artifacts. Runs that are not valid are chosen first, then the
newest valid runs. `Findings.counts` includes all runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A group of failures with the same cause, or a single invalid run that is in no group.

    `runs` is the number of runs, `because` the first sentence of the anomaly, and `reproduce` the
    command that repeats a failure.
    """

    name: str
    runs: int
    because: str
    reproduce: str
    known: str = ""
    """The reason why the user accepted the group; "" if it is not accepted."""
    schedule: str = ""
    """The text of the smallest schedule that still fails; "" if the group was not shrunk."""


@dataclass(frozen=True, slots=True)
class Findings:
    """The runs and failures that the CI artifacts show.

    `counts` is the number of runs by verdict. In `runs`, all runs that are not valid come first.
    `groups` also contains the invalid runs that are in no group.
    """

    counts: dict[str, int]
    runs: tuple[RunRow, ...]
    groups: tuple[Finding, ...]

    @property
    def valid(self) -> bool | None:
        """The merged verdict of all runs, without the runs of accepted groups.

        It is None (unknown) if there are no runs. If more runs may have failed than were read
        (`RUNS_MAX`), it is False, because some of the other failures may be in groups that are not
        accepted.
        """
        known = {one.name for one in self.groups if one.known}
        counted = [one.valid for one in self.runs if one.group not in known]
        if sum(one.valid is not True for one in self.runs) == RUNS_MAX:
            # Failures beyond RUNS_MAX were not read. They may be in groups that are not accepted.
            counted.append(False)
        return merge(counted) if self.runs else None

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def read_findings(store: Path, wanted: Filter) -> Findings:
    """Read what CI artifacts show about the runs in `store` that match the filter `wanted`.

    Raises DatabaseFailed.
    """
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
