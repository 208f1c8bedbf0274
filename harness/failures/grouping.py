"""Groups failures that probably have the same cause, and shrinks one failure of each group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.runs.execute import execute_simulated
from splitbrain.harness.schedule.schedule import SIMULATED, Schedule
from splitbrain.harness.schedule.text import read_schedule, write_schedule
from splitbrain.harness.shrinking.search import shrink
from splitbrain.harness.store.campaign_folder import Ended
from splitbrain.harness.store.failure_groups import Group, Groups, Shape
from splitbrain.harness.store.failure_signature import Signature, signature_of
from splitbrain.harness.store.temporary_folder import temporary_run_folder
from splitbrain.nemesis.fault_events import name_of


class Shrunk(msgspec.Struct, frozen=True):
    """A shrunk schedule, and the signature of the failure that its run shows."""

    schedule: Schedule
    signature: Signature
    minimal: bool


def grouped(groups: Groups, ended: Ended, failing: str = "") -> tuple[Ended, Group | None]:
    """Put a failed run into its group: the group of failures with the same signature.

    A signature is the sentence of an anomaly without names and values. If no group has the
    signature, a new group is made. Returns a pair. The first value is `ended` with the name of the
    group. The second value is the group if it is new, and otherwise None. A run without a signature
    is returned unchanged. `failing` is the file of the run's schedule, relative to the store.
    """
    if ended.signature is None:
        return ended, None
    group = groups.of(ended.signature)
    new = None
    if group is None:
        row = ended.row
        group = new = Group(
            name=groups.free_name(ended.signature), signatures=(ended.signature,),
            because=": ".join(one for one in (row.checker, row.kind, row.because) if one),
            first=row.started, first_commit=row.commit, reproduce=row.reproduce, failing=failing,
        )
        groups.save(group)
    elif not group.failing and failing:
        groups.save(msgspec.structs.replace(group, failing=failing))
    row = msgspec.structs.replace(ended.row, group=group.name)
    return msgspec.structs.replace(ended, row=row), new


def unshrunk(groups: Groups, store: Path) -> Iterator[Group]:
    """Yield the groups that have a failing schedule and were not shrunk yet."""
    for group in groups.all():
        if group.shape is None and group.failing and (store / group.failing).is_file():
            yield group


def shrink_group(
    groups: Groups, group: Group, store: Path, budget_s: float,
    shrink_schedule: Callable[[Schedule, str, float], Shrunk] | None = None,
) -> tuple[Group, str]:
    """Shrink the failing schedule of `group`, and join it with the group of the shrunk run.

    Returns the resulting group, and the name of the group that was joined into it, or "". If two
    groups are joined, the older one keeps its name. A group whose schedule does not fail any more
    is not changed. `shrink_schedule` replaces `shrunk_by` in tests.
    """
    schedule = read_schedule(store / group.failing)
    if schedule.system != SIMULATED:
        return group, ""
    checker = group.signatures[0].checker
    try:
        shrunk = (shrink_schedule or shrunk_by)(schedule, checker, budget_s)
    except BadArguments:
        return group, ""
    small = shrunk.schedule
    same = groups.of(shrunk.signature)
    group = msgspec.structs.replace(
        group, shape=shape_of(small, minimal=shrunk.minimal),
        signatures=tuple(dict.fromkeys((*group.signatures, shrunk.signature))),
    )
    write_schedule(small, groups.schedule_file(group), group.because)
    groups.save(group)
    if same is None or same.name == group.name:
        return group, ""
    older, newer = sorted((same, group), key=lambda one: (one.first, one.name))
    return _joined(groups, older, newer), newer.name


def _joined(groups: Groups, older: Group, newer: Group) -> Group:
    """Join `newer` into `older`, and return the result.

    If both have a shrunk schedule, the smaller one is kept.
    """
    if older.shape is not None and newer.shape is not None and _size(newer) < _size(older):
        groups.schedule_file(newer).replace(groups.schedule_file(older))
        older = msgspec.structs.replace(older, shape=newer.shape)
    return groups.join(older, newer)


def _size(group: Group) -> tuple[int, int]:
    assert group.shape is not None
    return len(group.shape.faults), len(group.shape.functions)


def shrunk_by(schedule: Schedule, checker: str, budget_s: float) -> Shrunk:
    """Shrink `schedule`, and simulate the result once more.

    Raises BadArguments if `checker` does not find the run of `schedule` invalid, or if the shrunk
    schedule does not fail.
    """
    found = shrink(schedule, checker, budget_s)
    with temporary_run_folder() as folder:
        result = execute_simulated(found.schedule, folder)
    signature = signature_of(result.results.verdicts)
    if signature is None:
        raise BadArguments("the shrunk schedule does not fail")
    return Shrunk(found.schedule, signature, found.minimal)


def shape_of(schedule: Schedule, *, minimal: bool) -> Shape:
    """Describe `schedule` by its workload, members, faults and operations."""
    return Shape(
        workload=schedule.options.workload, members=len(schedule.members),
        faults=tuple(name_of(one.fault) for one in schedule.faults),
        functions=tuple(one.operation.f for one in schedule.operations), minimal=minimal,
    )
