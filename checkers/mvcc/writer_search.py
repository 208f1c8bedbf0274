"""Finds writers for the revisions without a known writer, by a search.

If no change log is available, a revision without an acknowledged writer is a *gap*. An *uncertain
write* is a write without an answer. The writer of a gap is an uncertain write that was invoked
early enough, or the end of a lease. At each gap, the replay chooses one of these candidates and
continues. If a later answer does not fit the choices, this is a *conflict*, and the search returns
to the last gap that can have caused the conflict.

To find this gap, the search keeps the *taint* of each key: the set of gaps on which the key's
present key-value depends.

- A gap taints all keys that any of its candidates may change, not only the keys that the chosen
  candidate changes.
- If an answer fits and contains the key-value of a key, the taint of the key is removed. From then
  on the key-value is known and does not depend on earlier choices.

If the keys of a conflict have no taint, no choice can avoid the conflict, so it is an anomaly. If
all candidates of a gap fail, the failure is a new conflict, which depends on the earlier gaps that
made the candidates fail. The search therefore skips only combinations that are already known to
fail. It ends with a writer for each gap, or with a proof that no assignment of writers exists.

Requests that differ only in values that no answer shows are tried once. `mvcc/refuted_choices.py`
finds candidates that fail like one that was tried. `mvcc/writer_matching.py` ensures that each
uncertain write is used at most once.

Source: conflict-directed backjumping, Prosser 1993.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from splitbrain.checkers.model.evaluation import effect, evaluate
from splitbrain.checkers.model.request_parts import parts
from splitbrain.checkers.model.sequential_store import Made, SequentialStore
from splitbrain.checkers.model.transaction_branches import Path, paths
from splitbrain.checkers.mvcc.conflict import Conflict
from splitbrain.checkers.mvcc.key_taints import Gaps, KeyTaints
from splitbrain.checkers.mvcc.refuted_choices import (
    EVERYTHING,
    Branch,
    Candidate,
    DeadEnds,
    Dependence,
    Keys,
    KeySets,
    Refutations,
)
from splitbrain.checkers.mvcc.revision_order import Answers
from splitbrain.checkers.mvcc.uncertain_writes import Pool
from splitbrain.checkers.mvcc.writer_hints import GapHints
from splitbrain.checkers.mvcc.writer_matching import Demand, Makers
from splitbrain.checkers.mvcc.wrong_keys import wrong_keys
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Delete, KeyValue, Put, Range, Request


@dataclass(frozen=True, slots=True)
class _Option:
    """A candidate for the writer of a revision: an operation of `pool`, or the end of `lease`.

    `pool` is None if the candidate is the end of a lease.
    """

    pool: Pool | None
    writes: Keys
    """The keys that the candidate may write."""
    depends_on: Keys
    """The keys that decide what it writes."""
    lease: int = 0
    paths: Sequence[Path] | None = None
    """The branches of the request. None if there are too many, or no request."""

    @property
    def request(self) -> Request | None:
        """The request of one candidate operation. None if the candidate is the end of a lease."""
        return None if self.pool is None else self.pool.operations[0].request


@dataclass(slots=True)
class _Choice:
    revision: int
    gap: Gaps
    options: Iterator[_Option]
    mark: tuple[int, int]
    before: int
    """The length of the undo log of taints (`_trail`) before the search came to this gap."""
    opened: int
    """The length of the undo log after the keys that this gap may change were tainted."""
    refutations: Refutations
    made: Made = ()
    """The changes of the candidate that was chosen last."""


class GapSearch:
    """Chooses a writer for each gap: each revision without a known writer.

    The candidates are writes without an answer, and ends of leases. After a conflict with an
    answer, the search returns to an earlier gap and tries its next candidate.
    """

    def __init__(
        self,
        *,
        operations: Sequence[Operation],
        answers: Answers,
        gaps: Sequence[int],
        store: SequentialStore,
        makers: Makers,
    ) -> None:
        self.gaps = {revision: 1 << number for number, revision in enumerate(gaps)}
        self.deepest: Conflict | None = None
        """The conflict at the highest revision so far."""
        self._answers = answers
        self._store = store
        self._makers = makers
        self._hints = GapHints(operations, answers.certain, gaps)
        self._choices: list[_Choice] = []
        self._chosen: dict[Gaps, Pool | None] = {}
        """The pool of the chosen writer of each gap. None if the end of a lease was chosen."""
        self._taints = KeyTaints()
        self.sets = KeySets(part.key for op in operations for part in parts(op.request))
        self._dead_ends = DeadEnds(self.sets, self._shows)
        uncertain = [op for op in operations if op.outcome == "info"]
        uncertain.sort(key=lambda op: op.invoked)
        self._shapes = [self._option(pool) for pool in self._shape(uncertain)]
        self._first_calls = [one.pool.operations[0].invoked for one in self._shapes if one.pool]
        self._first_change = self._first_changes(uncertain)
        self._leased = sorted({
            part.key
            for op in operations
            for part in parts(op.request)
            if isinstance(part, Put) and part.lease
        })
        self._leased_keys = 0
        for key in self._leased:
            self._leased_keys |= self.sets.of(key)
        self._putters: dict[tuple[str, str | None], list[Operation]] = {}
        """The operations that put a key, by key and value (None: the value is kept)."""
        for op in uncertain:
            for part in parts(op.request):
                if isinstance(part, Put):
                    value = None if part.ignore_value else part.value
                    of = self._putters.setdefault((part.key, value), [])
                    if not of or of[-1] is not op:
                        of.append(op)

    # --- candidates

    def _shape(self, uncertain: Sequence[Operation]) -> list[Pool]:
        """Group the uncertain operations, so that operations of one group are interchangeable.

        Two operations belong to one group if their requests differ only in values that no answer
        shows. An operation is left out if answers show which revision it made.
        """
        shapes: dict[Request, list[Operation]] = {}
        for op in uncertain:
            if op.invoked in self._hints.pinned or not any(True for _ in parts(op.request)):
                continue
            shapes.setdefault(self._hints.shape(op.request), []).append(op)
        return [Pool(operations) for operations in shapes.values()]

    def _first_changes(self, uncertain: Sequence[Operation]) -> dict[str, int]:
        """Return for each key the first invocation of an uncertain write that may change the key.

        Writes are left out if answers show which revision they made.
        """
        first: dict[str, int] = {}
        for op in uncertain:
            if op.invoked not in self._hints.pinned:
                for key in self.sets.listed(self.sets.written(op.request)):
                    first.setdefault(key, op.invoked)
        return first

    def _options(self, revision: int) -> list[_Option]:
        deadline = self._answers.deadline(revision)
        shown = self._hints.shown[revision]
        for kv in shown.values():
            return [
                self._option(Pool((op,)))
                for value in (kv.value, None)
                for op in self._putters.get((kv.key, value), ())
                if deadline is None or op.invoked < deadline
            ]
        invoked = bisect_left(self._first_calls, math.inf if deadline is None else deadline)
        options = self._shapes[:invoked]
        options.reverse()
        options += [
            _Option(None, self._leased_keys, self._leased_keys, lease)
            for lease, keys in self._store.leases.items() if keys
        ]
        return options

    def _option(self, pool: Pool) -> _Option:
        request = pool.operations[0].request
        return _Option(
            pool, self.sets.written(request), self.sets.deciding(request), paths=paths(request)
        )

    def _may_change(self, revision: int, options: Sequence[_Option]) -> Iterable[str]:
        """Yield the keys that `revision`, a revision without a known writer, may have changed.

        All candidates for the writer of `revision` are considered, whatever writers were chosen for
        earlier revisions.
        """
        if self._hints.shown[revision]:
            for option in options:
                yield from self.sets.listed(option.writes)
            return
        deadline = self._answers.deadline(revision)
        for key, first in self._first_change.items():
            if (deadline is None or first < deadline) and not self._hints.untouched(key, revision):
                yield key
        yield from self._leased

    # --- forward

    def choose(self, revision: int) -> None:
        """Write the next candidate for the gap `revision` to the store.

        A gap is a revision without a known writer. Raises Conflict if no candidate is left.
        """
        choice = self._choices[-1] if self._choices else None
        self._store.revision = revision - 1
        if choice is None or choice.revision != revision:
            self._avoid_dead_end(revision)
            choice = self._open(revision)
        refutations = choice.refutations
        for option in choice.options:
            if refutations.refute_writes(option.writes):
                continue
            made = self._made(option, choice)
            if made is None or refutations.refute(made):
                continue
            if option.pool is not None and not self._demand(revision, option.pool):
                self._makers.withdraw(revision)
                refutations.use_up(made, self._rivals(choice.gap))
                continue
            self._store.write(revision, made)
            self._chosen[choice.gap] = option.pool
            choice.made = made
            return
        refutations.finish()
        self._close()
        users = refutations.users & (choice.gap - 1)
        self._dead_ends.add(choice.gap, refutations.on, self._store, {
            gap: pool for gap, pool in self._chosen.items() if gap & users
        })
        raise self._exhausted(
            revision, refutations.gaps & (choice.gap - 1), refutations.on, users
        )

    def _avoid_dead_end(self, revision: int) -> None:
        """Raise Conflict if all candidates of `revision` have failed in a state like this one."""
        gap = self.gaps[revision]
        found = self._dead_ends.find(gap, self._store, self._chosen)
        if found is not None:
            on, users = found
            gaps = self._taints_of(on.keys) | users
            raise self._exhausted(revision, gaps & (gap - 1), on, users)

    def _exhausted(self, revision: int, gaps: Gaps, on: Dependence, users: Gaps) -> Conflict:
        return Conflict(
            gaps=gaps, kind="phantom write",
            because=f"an answer shows revision {revision}, but no uncertain write that had been "
            "invoked by then can have made it",
            op=None, revision=revision, on=on, users=users,
        )

    def _demand(self, revision: int, pool: Pool) -> bool:
        deadline = self._answers.deadline(revision)
        return self._makers.demand(Demand(revision, deadline, lambda state: (pool,)))

    def _rivals(self, gap: Gaps) -> Gaps:
        """Return the gaps that use all writes of the candidate whose demand failed at `gap`."""
        rivals = self._makers.rivals
        if rivals is None or any(one not in self.gaps for one in rivals):
            return gap - 1
        return sum(self.gaps[one] for one in rivals)

    def _open(self, revision: int) -> _Choice:
        options = self._options(revision)
        gap = self.gaps[revision]
        before = self._taints.length
        alternatives = (
            len(options) > 1
            or not self._hints.shown[revision]
            or any(option.depends_on for option in options)
        )
        if alternatives:
            for key in self._may_change(revision, options):
                self._taints.add(key, gap)
        choice = _Choice(
            revision, gap, iter(options), self._store.mark(), before, self._taints.length,
            Refutations(gap, self.sets, self._shows, self._taints_of),
        )
        self._choices.append(choice)
        return choice

    def _shows(self, kv: KeyValue) -> bool:
        return self._hints.shows(kv.key, kv.value)

    def _made(self, option: _Option, choice: _Choice) -> Made | None:
        """Return the changes that the candidate `option` makes in the store.

        `choice` is the state of the search at the present gap, a revision without a known writer.
        Returns None if the changes contradict an answer.
        """
        request = option.request
        if request is None:
            return self._ended(option, choice)
        revision, (_, made) = choice.revision, evaluate(self._store, request)
        found = option.paths
        branches = None if found is None else partial(self._branches, found, revision)
        choice.refutations.consider(
            Candidate(option.writes, option.depends_on | option.writes, branches)
        )
        contradiction = self._hints.contradiction(made, revision, (), self.sets)
        return made if made and contradiction is None else None

    def _branches(self, found: Sequence[Path], revision: int) -> Iterator[Branch]:
        for path in found:
            made = effect(self._store, path.writes)
            kept = [
                one.key for one in path.writes
                if isinstance(one, Put) and (one.ignore_value or one.ignore_lease)
            ]
            yield Branch(made, self._hints.contradiction(made, revision, kept, self.sets))

    def _taints_of(self, keys: Keys) -> Gaps:
        return self.keys_concerned(self.sets.listed(keys))

    def _ended(self, option: _Option, choice: _Choice) -> Made | None:
        """Return the keys that are deleted if the lease of `option` ends at the gap of `choice`.

        Returns None if the lease has no keys, or if an answer shows that one of them was not
        deleted.
        """
        choice.refutations.consider(Candidate(option.writes, option.depends_on, None))
        keys = sorted(self._store.leases.get(option.lease, ()))
        if keys and not any(self._hints.untouched(key, choice.revision) for key in keys):
            return keys
        return None

    # --- taints

    def concerned(self, request: Request) -> Gaps:
        """Return the gaps whose chosen writers influence the answer to `request`.

        A gap is a revision without a known writer.
        """
        on = self.sets.concerned(request)
        if on == EVERYTHING:
            return (1 << len(self.gaps)) - 1 if self._choices else 0
        return self._taints_of(on.keys)

    def blamed(self, op: Operation) -> tuple[Gaps, Dependence]:
        """Return the gaps and the state that make the answer of `op` wrong.

        If a read shows several wrong keys, only one of them is blamed: the one that depends on the
        earliest gaps.
        """
        wrong = wrong_keys(self._store, op, self.sets)
        if not wrong:
            return self.concerned(op.request), self.sets.concerned(op.request)
        key = min(wrong, key=self._taints.of)
        return self._taints.of(key), wrong[key]

    def keys_concerned(self, keys: Iterable[str]) -> Gaps:
        """Return the gaps whose chosen writers influence the key-values of `keys`.

        A gap is a revision without a known writer.
        """
        gaps = 0
        for key in keys:
            gaps |= self._taints.of(key)
        return gaps

    def gaps_before(self, revision: int) -> Gaps:
        """Return the gaps before `revision` for which the search has chosen a writer.

        A gap is a revision without a known writer.
        """
        return sum(choice.gap for choice in self._choices if choice.revision < revision)

    def shown(self, revision: int) -> Sequence[KeyValue]:
        """Return the key-values that were put at `revision`, a revision without a known writer.

        They are known from answers. The result is empty if `revision` has a known writer.
        """
        return tuple(self._hints.shown.get(revision, {}).values())

    def made_by_any(self, revision: int) -> str:
        """Return the end of a message about an anomaly that no choice of writers avoids.

        It lists the last revisions up to `revision` whose writers are unknown. Returns "" if there
        are none.
        """
        before = [gap for gap in self.gaps if gap <= revision]
        if not before:
            return ""
        listed = ", ".join(map(str, before[-3:]))
        return (
            ", no matter which uncertain writes made the revisions without a known writer "
            f"({listed})"
        )

    def fixed(self, op: Operation) -> None:
        """Remove the taint of each key that the answer of `op` completely shows.

        The taint of a key is the set of gaps whose chosen writers influence its key-value. Now the
        key-value is known from the answer, so it depends on no choice. The caller must have found
        that the answer is right.
        """
        if not self._taints:
            return
        request = op.request
        if isinstance(request, Range):
            if request.partial:
                return
            self._taints.fix_interval(request.key, request.range_end)
        elif isinstance(request, Delete):
            self._taints.fix_interval(request.key, request.range_end)
        elif isinstance(request, Put) and request.prev_kv:
            self._taints.fix((request.key,))

    def fix_keys(self, keys: Iterable[str]) -> None:
        """Mark `keys` as independent of earlier choices, because their key-values are known."""
        self._taints.fix(keys)

    # --- back

    def back(self, conflict: Conflict) -> int | None:
        """Undo choices, from the last one back to a gap that can have caused `conflict`.

        The choice at this gap is undone, too. Returns the gap, which is a revision without a known
        writer, or None if no gap can have caused the conflict.
        """
        if self.deepest is None or conflict.revision >= self.deepest.revision:
            self.deepest = conflict
        while self._choices:
            choice = self._choices[-1]
            self._store.undo(choice.mark)
            self._makers.withdraw_from(choice.revision)
            if conflict.gaps & choice.gap:
                choice.refutations.add(
                    choice.made, conflict.gaps, conflict.on, conflict.users
                )
                self._taints.undo(choice.opened)
                return choice.revision
            self._close()
        return None

    def _close(self) -> None:
        self._taints.undo(self._choices.pop().before)
