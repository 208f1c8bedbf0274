"""Compares the list that a watcher reads before it watches with the members' change log.

The list is a read of an interval in pages, all at one revision. It must contain the key-values that
the change log yields at this revision. Each write that was acknowledged before the reads began must
have this revision or a lower one. From the list and the events after it, the watcher knows all keys
at every later revision.

A key without a change in the log is judged only if the log is complete from the first revision on.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

from splitbrain.checkers import wording
from splitbrain.checkers.watch.descriptions import pair
from splitbrain.checkers.watch.expected_events import Truth, holding
from splitbrain.checkers.watch.report import Report
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.watch import Listed, WatchRequest, WatchStream

FIRST_REVISION = 2
"""The revision of the first change of a store."""


class ListCheck:
    """Judges the lists of all watchers. `writers` are the acknowledged writes by revision."""

    def __init__(self, truth: Truth, writers: dict[int, Operation]) -> None:
        self._truth = truth
        ended = sorted(
            (op.ended, revision) for revision, op in writers.items() if op.ended is not None
        )
        self._times = [time for time, _ in ended]
        self._highest = list(accumulate((revision for _, revision in ended), max))
        self.count = 0
        """The number of lists."""

    def check(self, stream: WatchStream, name: str, report: Report) -> None:
        """Report the list of `stream`, if it has one and the list is wrong or too old."""
        listed = stream.listed
        if listed is None:
            return
        self.count += 1
        revision, at = listed.revision, wording.seconds(listed.time)
        known = self._acknowledged_before(listed.began)
        if revision < known:
            report(
                "stale list",
                f"{name} listed its keys at revision {revision}, which ended at {at}; revision "
                f"{known} was acknowledged before the reads began at "
                f"{wording.seconds(listed.began)}", known,
            )
        if self._truth.logged(revision):
            self._check_keys(listed, stream.request, name, report)

    def _check_keys(
        self, listed: Listed, request: WatchRequest, name: str, report: Report
    ) -> None:
        revision, at = listed.revision, wording.seconds(listed.time)
        expected = _keys_at(self._truth, request, revision)
        found = {one.key: one for one in listed.kvs}
        complete = self._truth.first <= FIRST_REVISION
        for key in {**expected, **found}:
            if key not in expected and not complete:
                continue
            if found.get(key) != expected.get(key):
                report(
                    "wrong list",
                    f"{name} listed {pair(found.get(key))} at revision {revision} ({at}), expected "
                    f"{pair(expected.get(key))}", revision,
                )
        if len(found) != len(listed.kvs):
            report(
                "wrong list", f"{name} listed a key twice at revision {revision} ({at})", revision
            )

    def _acknowledged_before(self, time: int) -> int:
        """Return the highest revision of the writes that were acknowledged before `time`."""
        place = bisect_left(self._times, time)
        return self._highest[place - 1] if place else 0


def _keys_at(truth: Truth, request: WatchRequest, revision: int) -> dict[str, KeyValue | None]:
    """Return each changed key of the interval with its key-value at `revision` (None: deleted)."""
    watched = WatchRequest(request.key, request.range_end)
    keys: dict[str, KeyValue | None] = {}
    for change in truth.selection(watched).changes:
        if change.revision > revision:
            break
        if truth.logged(change.revision):
            keys[change.key] = holding(change)
    return keys
