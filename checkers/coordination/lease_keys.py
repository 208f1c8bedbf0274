"""Finds the keys of each lease in the members' change log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from splitbrain.checkers.coordination.revision_times import RevisionTimes, answered_revision
from splitbrain.checkers.model.answer_facts import made_revision
from splitbrain.checkers.model.request_parts import parts
from splitbrain.checkers.model.sequential_store import in_interval
from splitbrain.histories.history import History, Operation
from splitbrain.histories.kv import Delete
from splitbrain.histories.lock_and_election import Campaign, Lock
from splitbrain.histories.member_state import Change


@dataclass(frozen=True, slots=True)
class Attachment:
    """A key that is attached to a lease from revision `first` up to, not including, `end`.

    If `end` is None, the key stays attached until the end of the run.
    """

    key: str
    lease: int
    first: int
    end: int | None


@dataclass(frozen=True, slots=True)
class LeaseKeys:
    """The keys that were attached to each lease, and the ends of leases, from the change log."""

    attachments: tuple[Attachment, ...]
    ends: dict[int, tuple[int, list[str]]]
    """For each lease that ended with keys: the revision and the keys."""

    def of(self, lease: int) -> list[Attachment]:
        """Return the keys that were attached to the lease with the id `lease`, and when."""
        return [one for one in self.attachments if one.lease == lease]


def queue_names(history: History) -> set[str]:
    """Return the names of locks and elections. The store itself writes and deletes their keys."""
    return {
        op.request.name for op in history.services if isinstance(op.request, Lock | Campaign)
    }


def find_keys(
    history: History, changes: Sequence[Change], clock: RevisionTimes
) -> LeaseKeys:
    """Find the keys of each lease, and the deletions that are the end of a lease.

    `changes` is the change log, and `clock` contains bounds on the times of its revisions. A
    deletion that no operation requested is the end of a lease. Deletions of the keys of locks and
    elections are not counted as ends, because the store deletes these keys for other reasons, too.
    """
    writers = {
        answered_revision(op)
        for op in history.operations
        if op.result is not None and made_revision(op.result)
    }
    deletes = [
        (op, part)
        for op in history.operations
        if op.outcome == "info"
        for part in parts(op.request)
        if isinstance(part, Delete)
    ]
    queues = queue_names(history)
    found: list[Attachment] = []
    ends: dict[int, tuple[int, list[str]]] = {}
    on: dict[str, tuple[int, int]] = {}
    for revision, made in _by_revision(changes):
        unrequested = revision not in writers and all(one.kind == "delete" for one in made)
        gone = dict.fromkeys(on[change.key][0] for change in made if change.key in on)
        if (
            unrequested and len(gone) == 1 and all(change.key in on for change in made)
            and not _may_have_deleted(deletes, made, clock)
            and not any(change.key.rpartition("/")[0] in queues for change in made)
        ):
            ends.setdefault(next(iter(gone)), (revision, [change.key for change in made]))
        for change in made:
            if change.key in on:
                lease, first = on.pop(change.key)
                found.append(Attachment(change.key, lease, first, revision))
            if change.kind == "put" and change.lease:
                on[change.key] = (change.lease, revision)
    found += [Attachment(key, lease, first, None) for key, (lease, first) in on.items()]
    return LeaseKeys(tuple(found), ends)


def _may_have_deleted(
    deletes: Sequence[tuple[Operation, Delete]], changes: Sequence[Change], clock: RevisionTimes
) -> bool:
    before = clock.made_before(changes[0].revision)
    return any(
        (before is None or op.call < before)
        and all(in_interval(one.key, part.key, part.range_end) for one in changes)
        for op, part in deletes
    )


def _by_revision(changes: Sequence[Change]) -> Iterator[tuple[int, list[Change]]]:
    group: list[Change] = []
    for change in changes:
        if group and group[0].revision != change.revision:
            yield group[0].revision, group
            group = []
        group.append(change)
    if group:
        yield group[0].revision, group
