"""Computes the events that a watcher should receive: the requested part of the change log.

The change log is that of the reference member. Revisions that this member has compacted are taken
from the member that compacted least. A revision may be in no log, because no state is known or
because all members compacted it. For such a revision, the events that the watchers received are
used instead. Then the watchers are only compared with each other, and `Truth.logged` is false for
the revision.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from splitbrain.checkers.model.sequential_store import text_order
from splitbrain.checkers.reference_member import readable, reference
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.member_state import Change, MemberState
from splitbrain.histories.watch import Events, WatchRequest, WatchStream

UNKNOWN = KeyValue("", version=-1)
"""A previous key-value that is unknown."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The changes that match one watch request, in order, and the revision of each change."""

    changes: list[Change]
    revisions: list[int]
    places: list[int]
    """The index of each change in the whole log."""


@dataclass(slots=True)
class Truth:
    """All changes of the store in the run, in order, as far as they are known.

    The revisions `first` to `last` are from the members' change logs. Other changes are from the
    events that watchers received. If `final` is true, no revision above `last` exists.
    """

    changes: list[Change]
    first: int
    last: int
    final: bool
    _keys: dict[str, list[int]] = field(default_factory=dict)
    _ordered: list[tuple[bytes, str]] = field(default_factory=list)
    _selections: dict[tuple[str, str, bool, bool], Selection] = field(default_factory=dict)
    _previous: list[KeyValue | None] | None = None

    def __post_init__(self) -> None:
        keys = self._keys
        for place, change in enumerate(self.changes):
            places = keys.get(change.key)
            if places is None:
                keys[change.key] = [place]
            else:
                places.append(place)
        self._ordered = sorted((text_order(key), key) for key in keys)

    def logged(self, revision: int) -> bool:
        """Return whether the members' change logs cover `revision`."""
        return self.first <= revision and (self.final or revision <= self.last)

    def selection(self, request: WatchRequest) -> Selection:
        """Return the changes that a watch with `request` should receive, at any revision."""
        name = (request.key, request.range_end, request.no_put, request.no_delete)
        found = self._selections.get(name)
        if found is None:
            found = self._selections[name] = self._select(request)
        return found

    def _select(self, request: WatchRequest) -> Selection:
        of_keys = [self._keys[key] for key in self._between(request.key, request.range_end)]
        if len(of_keys) == len(self._keys):
            places: Sequence[int] = range(len(self.changes))
        else:
            places = sorted(place for one in of_keys for place in one)
        changes = self.changes
        if request.no_put or request.no_delete:
            places = [place for place in places if passes(request, changes[place])]
        chosen = [changes[place] for place in places]
        return Selection(chosen, [change.revision for change in chosen], list(places))

    def _between(self, key: str, end: str) -> list[str]:
        if not end:
            return [key] if key in self._keys else []
        low = bisect_left(self._ordered, (text_order(key), ""))
        high = len(self._ordered)
        if end != "\0":
            high = bisect_left(self._ordered, (text_order(end), ""))
        return [name for _, name in self._ordered[low:high]]

    def at(self, revision: int, key: str) -> Change | None:
        """Return the change of `key` at `revision`, if there is one."""
        for place in self._keys.get(key, ()):
            if self.changes[place].revision == revision:
                return self.changes[place]
        return None

    @property
    def previous(self) -> list[KeyValue | None]:
        """Return, for each change, the key-value that its key had before the change.

        The value is None if the key was absent, and UNKNOWN if the log does not reach back far
        enough.
        """
        if self._previous is None:
            self._previous = [UNKNOWN] * len(self.changes)
            for places in self._keys.values():
                self._find_previous(places, self._previous)
        return self._previous

    def _find_previous(self, places: list[int], previous: list[KeyValue | None]) -> None:
        held: KeyValue | None = UNKNOWN
        before, revision = held, 0
        for place in places:
            change = self.changes[place]
            if change.revision > revision:
                # Two changes of a key at one revision have the same previous key-value: etcd
                # reads it at the revision before.
                before, revision = held, change.revision
            if change.kind == "put" and change.version == 1:
                before = None if before is UNKNOWN else before
            previous[place] = before
            held = holding(change)


def holding(change: Change) -> KeyValue | None:
    """The key-value that a key has after `change`; None if it is absent."""
    if change.kind == "delete":
        return None
    return KeyValue(
        change.key, change.value, change.create_revision, change.revision, change.version,
        change.lease,
    )


def passes(request: WatchRequest, change: Change) -> bool:
    """Return whether the filters of the watch `request` let the event `change` through."""
    return not (request.no_put if change.kind == "put" else request.no_delete)


def find_truth(members: Sequence[MemberState], streams: Sequence[WatchStream]) -> Truth:
    """Join the change logs of the members to one log of all changes of the run.

    For revisions that are in no log, the events that the watchers received are used.
    """
    known = reference(members)
    if known is None:
        return Truth(_seen(streams, 0, None), 1 << 62, 0, final=False)
    longest = min(readable(members), key=lambda member: member.first_revision)
    first = known.first_revision
    changes = list(known.changes)
    if longest.first_revision < first <= longest.revision + 1:
        before = bisect_left(longest.changes, first, key=_revision)
        changes = [*longest.changes[:before], *changes]
        first = longest.first_revision
    if first > 2:
        changes = [*_seen(streams, 0, first), *changes]
    final = 2 * len(readable(members)) > len(members)
    if not final:
        changes += _seen(streams, known.revision + 1, None)
    return Truth(changes, first, known.revision, final)


def _seen(streams: Sequence[WatchStream], low: int, high: int | None) -> list[Change]:
    """Return the changes that watchers received, from revision `low` to before revision `high`.

    If `high` is None, there is no upper limit. If watchers received different changes of a key at
    one revision, only the first change is returned. The changes of one revision are in the order in
    which the streams first contain them.
    """
    found: dict[int, dict[str, Change]] = {}
    for stream in streams:
        for answer in stream.answers:
            if isinstance(answer, Events):
                for change in answer.changes:
                    if change.revision >= low and (high is None or change.revision < high):
                        found.setdefault(change.revision, {}).setdefault(change.key, change)
    return [change for revision in sorted(found) for change in found[revision].values()]


def _revision(change: Change) -> int:
    return change.revision
