"""Remembers which changes at a gap cannot be right, so that the search tries none of them again.

A gap is a revision without a known writer (`mvcc/writer_search.py`). Suppose that the search chose
a writer for the gap, and a later answer about key k did not fit. If another candidate changes k in
the same way, or both leave k alone, the same answer will not fit again. The candidate is *refuted*
without a replay.

In general, a conflict names the set of keys on whose state it depends. Two candidates whose changes
to these keys are equal have the same conflict, whatever they do to other keys. This is true for the
following reasons:

- An acknowledged write between the gap and the conflict changes a key in a way that depends only
  on the former state of this key, because its answer shows which branch was executed.
- If a later gap can change one of the keys, the conflict also depends on the writer of that gap.
  The search then returns to the later gap first. If all its candidates fail, this is a new
  conflict. Its keys are the keys of the failures. A candidate that compares other keys adds these
  keys, unless each of its branches is refuted.

A candidate can also fail because no write is left: earlier gaps use all writes of its kind. Such a
conflict names these gaps. At each of them, it refutes nothing, because another candidate with equal
changes may leave a write.

Some conflicts depend only on the create_revision and the version of a key, such as the conflict
that a put made a wrong version. Then candidates that put different values are refuted together.
Each conflict therefore names the keys of which all fields matter, too.

If all candidates of a gap have failed, the same state of the keys of the conflict leads to the same
conflict when the search comes to this gap again. `DeadEnds` contains these states.

Source: conflict-directed backjumping (Prosser 1993), with learned nogoods (Dechter 1990).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from splitbrain.checkers.model.key_order import key_of, name_of
from splitbrain.checkers.model.request_parts import compares, parts, ranges
from splitbrain.checkers.model.sequential_store import Made, State
from splitbrain.checkers.mvcc.key_taints import Gaps
from splitbrain.checkers.mvcc.uncertain_writes import Pool
from splitbrain.histories.kv import Delete, KeyValue, Put, Request

Keys = int
"""A set of keys: an integer in which bit n stands for key number n in the order of the keys."""
ALL_KEYS: Keys = -1


class Dependence(NamedTuple):
    """On which states of keys a conflict depends.

    It depends on the create_revision and the version of each key in `keys`, and on all fields of
    the keys in `all_fields`, which are a subset of `keys`.
    """

    keys: Keys
    all_fields: Keys

    def __or__(self, other: Dependence) -> Dependence:
        return Dependence(self.keys | other.keys, self.all_fields | other.all_fields)


NOTHING = Dependence(0, 0)
EVERYTHING = Dependence(ALL_KEYS, ALL_KEYS)


def on_all_fields(keys: Keys) -> Dependence:
    return Dependence(keys, keys)


def on_versions(keys: Keys) -> Dependence:
    return Dependence(keys, 0)


class KeySets:
    """Converts keys and intervals to sets of keys. Keys that are not in `keys` are ignored."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._names = sorted(name_of(key) for key in set(keys))
        self._intervals: dict[tuple[str, str], Keys] = {}
        self._listed: dict[Keys, tuple[str, ...]] = {}

    def of(self, key: str, end: str = "") -> Keys:
        """Return the set of the key `key`, or of the keys in `[key, end)`."""
        known = self._intervals.get((key, end))
        if known is None:
            known = self._intervals[key, end] = self._find(name_of(key), name_of(end))
        return known

    def _find(self, begin: str, end: str) -> Keys:
        names = self._names
        low = bisect_left(names, begin)
        if not end:
            return 1 << low if low < len(names) and names[low] == begin else 0
        high = len(names) if end == "\0" else bisect_left(names, end)
        return (1 << high) - (1 << low) if high > low else 0

    def listed(self, keys: Keys) -> tuple[str, ...]:
        """Return the keys in `keys`, in order."""
        known = self._listed.get(keys)
        if known is None:
            known = self._listed[keys] = tuple(
                key_of(name) for number, name in enumerate(self._names) if keys >> number & 1
            )
        return known

    def written(self, request: Request) -> Keys:
        """Return the keys that `request` may write, in either branch."""
        keys = 0
        for part in parts(request):
            keys |= self.of(part.key, part.range_end if isinstance(part, Delete) else "")
        return keys

    def deciding(self, request: Request) -> Keys:
        """Return the keys that decide which branch of `request` is executed, or whether it fails.

        A put that keeps the value or the lease of its key fails if there is no such key.
        """
        keys = 0
        for compare in compares(request):
            keys |= self.of(compare.key, compare.range_end)
        for part in parts(request):
            if isinstance(part, Put) and (part.ignore_value or part.ignore_lease):
                keys |= self.of(part.key)
        return keys

    def concerned(self, request: Request) -> Dependence:
        """Return on which state the answer to `request` depends."""
        keys = everything = 0
        for compare in compares(request):
            compared = self.of(compare.key, compare.range_end)
            keys |= compared
            if compare.target not in ("version", "create"):
                everything |= compared
        for part in parts(request):
            written = self.of(part.key, part.range_end if isinstance(part, Delete) else "")
            keys |= written
            if part.prev_kv:
                everything |= written
        for one in ranges(request):
            if one is not request and one.revision > 0:
                return EVERYTHING
            read = self.of(one.key, one.range_end)
            keys |= read
            if not one.count_only or one.filtered:
                everything |= read
        return Dependence(keys, everything)


@dataclass(frozen=True, slots=True)
class Branch:
    """The changes that one branch of a candidate would make in the present state.

    It does not matter whether the comparisons lead to this branch. If an answer contradicts the
    changes, `because_of` is the state that decides this. It is NOTHING if the answer contradicts
    the branch in every state, and None if no answer contradicts it.
    """

    made: Made
    because_of: Dependence | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """Which keys one candidate may write, and what decides this.

    Its effect depends only on the keys `depends_on`. `branches` yields its branches. It is None if
    these are not known.
    """

    writes: Keys
    depends_on: Keys
    branches: Callable[[], Iterator[Branch]] | None


@dataclass(slots=True)
class Refutations:
    """The conflicts of the candidates that were tried at the gap `gap`.

    All conflicts so far depend on the gaps `gaps` and on the state `on`. The gaps `users` use up
    writes: if one of them gets another writer, a candidate here may get a write.
    """

    gap: Gaps
    sets: KeySets
    shows: Callable[[KeyValue], bool]
    """Whether an answer or a comparison of the history contains the value of a key-value."""
    taints: Callable[[Keys], Gaps]
    """The earlier gaps on whose writers the present states of some keys depend."""
    gaps: Gaps = 0
    on: Dependence = NOTHING
    users: Gaps = 0
    _failed: list[tuple[Dependence, frozenset[object]]] = field(default_factory=list)
    """For each conflict, its keys and the changes of the failed candidate to these keys."""
    _left_alone: list[Keys] = field(default_factory=list)
    """The keys of each conflict whose candidate did not change these keys."""
    _candidates: list[Candidate] = field(default_factory=list)
    _used_up: list[tuple[Candidate, Made, Gaps]] = field(default_factory=list)

    def add(self, made: Made, gaps: Gaps, on: Dependence, users: Gaps) -> None:
        """Record the conflict of the candidate whose changes were `made`.

        The conflict depends on the gaps `gaps`, on the state `on`, and on the writes that the gaps
        `users` use.
        """
        self.gaps |= gaps
        self.on |= on
        self.users |= users
        if users & self.gap:
            return
        changes = frozenset(self._changes(made, on))
        self._failed.append((on, changes))
        if not changes:
            self._left_alone.append(on.keys)

    def consider(self, candidate: Candidate) -> None:
        """Record that `candidate` was considered, so that `finish` adds what its effect depends on.

        It does not matter whether the candidate was tried, refuted, or without a possible effect.
        """
        self._candidates.append(candidate)

    def use_up(self, made: Made, users: Gaps) -> None:
        """Record that the gaps `users` use all writes of the candidate that was considered last.

        It would make the changes `made`.
        """
        self._used_up.append((self._candidates[-1], made, users))

    def refute_writes(self, writes: Keys) -> bool:
        """Return whether each candidate that writes at most the keys `writes` is refuted."""
        return any(not writes & keys for keys in self._left_alone)

    def refute(self, made: Made) -> bool:
        """Return whether each candidate that makes the changes `made` is refuted."""
        return any(
            changes == frozenset(self._changes(made, on)) for on, changes in self._failed
        )

    def finish(self) -> None:
        """Complete `gaps`, `on` and `users` when no candidate is left.

        Then they also contain what decides the effects of the candidates that are not refuted in
        each case, and the gaps that use their writes.
        """
        added = NOTHING
        for candidate in self._candidates:
            added |= self._depends_on(candidate)
        self.on |= added
        self.gaps |= self.taints(added.keys)
        for candidate, made, users in self._used_up:
            if not self.refute_writes(candidate.writes) and not self.refute(made):
                self.gaps |= users
                self.users |= users

    def _depends_on(self, candidate: Candidate) -> Dependence:
        """Return the state that decides whether all effects of `candidate` are refuted."""
        if self.refute_writes(candidate.writes):
            return NOTHING
        if candidate.branches is None:
            return on_all_fields(candidate.depends_on)
        on = NOTHING
        for branch in candidate.branches():
            if branch.because_of == NOTHING or self.refute(branch.made):
                continue
            if branch.because_of is None:
                return on_all_fields(candidate.depends_on)
            on |= branch.because_of
        return on

    def _changes(self, made: Made, on: Dependence) -> Iterator[object]:
        """Yield what matters of the changes in `made`, if a conflict depends on the state `on`."""
        for one in made:
            key = self.sets.of(one if isinstance(one, str) else one.key)
            if key & on.keys:
                yield (
                    one if isinstance(one, str)
                    else _fields(one, bool(key & on.all_fields), self.shows)
                )


def _fields(kv: KeyValue, everything: bool, shows: Callable[[KeyValue], bool]) -> object:
    """Return the create_revision and the version of `kv`. With `everything`, also other fields.

    The value is left out if no answer shows it.
    """
    if not everything:
        return kv.key, kv.create_revision, kv.version
    value = kv.value if shows(kv) else None
    return kv.key, value, kv.create_revision, kv.mod_revision, kv.version, kv.lease


class DeadEnds:
    """The states in which all candidates of a gap failed, by gap and by the keys that matter."""

    def __init__(self, sets: KeySets, shows: Callable[[KeyValue], bool]) -> None:
        self._sets = sets
        self._shows = shows
        self._found: dict[Gaps, dict[Dependence, dict[object, dict[Gaps, Pool | None]]]] = {}

    def add(
        self, gap: Gaps, on: Dependence, state: State, used: dict[Gaps, Pool | None]
    ) -> None:
        """Record that all candidates of `gap` fail in `state`.

        They also fail in each state in which everything is equal on which the conflict depends
        (`on`), as long as the gaps in `used` have writers from these pools.
        """
        if on.keys != ALL_KEYS:
            self._found.setdefault(gap, {}).setdefault(on, {})[self._at(on, state)] = used

    def find(
        self, gap: Gaps, state: State, chosen: Mapping[Gaps, Pool | None]
    ) -> tuple[Dependence, Gaps] | None:
        """Return the dependence of a conflict that is certain if the search goes on in `state`.

        Also returns the gaps that use up writes. `chosen` contains the pools of all writers that
        are chosen at present. Returns None if no such conflict is known.
        """
        for on, states in self._found.get(gap, {}).items():
            used = states.get(self._at(on, state))
            if used is not None and all(chosen.get(one) is pool for one, pool in used.items()):
                return on, sum(used)
        return None

    def _at(self, on: Dependence, state: State) -> object:
        held = [state.held(key) for key in self._sets.listed(on.keys)]
        return tuple(
            None if kv is None
            else _fields(kv, bool(self._sets.of(kv.key) & on.all_fields), self._shows)
            for kv in held
        )
