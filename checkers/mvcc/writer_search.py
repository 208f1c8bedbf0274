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
- If a candidate compares a key, the taint of this key is added to the taints of the keys that the
  candidate writes.
- If an answer fits and contains the key-value of a key, the taint of the key is removed. From then
  on the key-value is known and does not depend on earlier choices.

If the keys of a conflict have no taint, no choice can avoid the conflict, so it is an anomaly. If
all candidates of a gap fail, the failure is a new conflict, which depends on the earlier gaps that
made the candidates fail. The search therefore skips only combinations that are already known to
fail. It ends with a writer for each gap, or with a proof that no assignment of writers exists.

Requests that differ only in values that no answer shows are tried once. `mvcc/writer_matching.py`
ensures that each uncertain write is used at most once.

Source: conflict-directed backjumping, Prosser 1993.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from splitbrain.checkers.model.evaluation import evaluate
from splitbrain.checkers.model.key_order import KeyOrder
from splitbrain.checkers.model.request_parts import compares, parts, ranges
from splitbrain.checkers.model.sequential_store import Made, SequentialStore
from splitbrain.checkers.mvcc.revision_order import Answers
from splitbrain.checkers.mvcc.uncertain_writes import Pool
from splitbrain.checkers.mvcc.writer_hints import GapHints
from splitbrain.checkers.mvcc.writer_matching import Demand, Makers
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Delete, KeyValue, Put, Range, Request

Gaps = int
"""A set of gaps (revisions without a known writer): an integer in which bit n stands for gap number
n."""


class Conflict(Exception):
    """Raised if an answer contradicts the writers that the search chose for the revisions `gaps`.

    `kind` and `because` describe the anomaly that exists if no other choice is possible. `op` is
    the operation with the answer, if there is one.
    """

    def __init__(
        self, *, gaps: Gaps, kind: str, because: str, op: Operation | None, revision: int
    ) -> None:
        super().__init__(because)
        self.gaps = gaps
        self.kind = kind
        self.because = because
        self.op = op
        self.revision = revision


@dataclass(frozen=True, slots=True)
class _Option:
    """A candidate for the writer of a revision: an operation of `pool`, or the end of `lease`.

    `pool` is None if the candidate is the end of a lease.
    """

    pool: Pool | None
    lease: int = 0

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
    conflicts: Gaps = 0
    """The earlier gaps that made candidates of this gap fail."""


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
        self._taint: dict[str, Gaps] = {}
        self._tainted = KeyOrder()
        self._trail: list[tuple[str, Gaps]] = []
        self._universe = KeyOrder()
        for key in _all_keys(operations):
            self._universe.add(key)
        uncertain = [op for op in operations if op.outcome == "info"]
        uncertain.sort(key=lambda op: op.invoked)
        self._shapes = self._shape(uncertain)
        self._first_change = self._first_changes(uncertain)
        self._leased = sorted({
            part.key
            for op in operations
            for part in parts(op.request)
            if isinstance(part, Put) and part.lease
        })
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
                for key in self._keys(op.request):
                    first.setdefault(key, op.invoked)
        return first

    def _keys(self, request: Request) -> Iterator[str]:
        """Yield all keys that `request` may write, in either branch."""
        for part in parts(request):
            if isinstance(part, Delete) and part.range_end:
                yield from self._universe.between(part.key, part.range_end)
            else:
                yield part.key

    def _options(self, revision: int) -> list[_Option]:
        deadline = self._answers.deadline(revision)
        shown = self._hints.shown[revision]
        for kv in shown.values():
            return [
                _Option(Pool((op,)))
                for value in (kv.value, None)
                for op in self._putters.get((kv.key, value), ())
                if deadline is None or op.invoked < deadline
            ]
        options = [_Option(pool) for pool in reversed(self._shapes) if pool.available(deadline)]
        options += [_Option(None, lease) for lease, keys in self._store.leases.items() if keys]
        return options

    def _may_change(self, revision: int, options: Sequence[_Option]) -> Iterable[str]:
        """Yield the keys that `revision`, a revision without a known writer, may have changed.

        All candidates for the writer of `revision` are considered, whatever writers were chosen for
        earlier revisions.
        """
        if self._hints.shown[revision]:
            for option in options:
                if option.request is not None:
                    yield from self._keys(option.request)
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
        if choice is None or choice.revision != revision:
            choice = self._open(revision)
        self._store.revision = revision - 1
        for option in choice.options:
            made = self._made(option, choice)
            if made is None:
                continue
            if option.pool is not None and not self._demand(revision, option.pool):
                self._makers.withdraw(revision)
                choice.conflicts |= choice.gap - 1
                continue
            reads = 0 if option.request is None else self._reads(option.request)
            self._store.write(revision, made)
            if reads and option.request is not None:
                for key in self._keys(option.request):
                    self._set_taint(key, self._taint.get(key, 0) | reads)
            return
        self._close()
        raise Conflict(
            gaps=choice.conflicts, kind="phantom write",
            because=f"an answer shows revision {revision}, but no uncertain write that had been "
            "invoked by then can have made it",
            op=None, revision=revision,
        )

    def _demand(self, revision: int, pool: Pool) -> bool:
        deadline = self._answers.deadline(revision)
        return self._makers.demand(Demand(revision, deadline, lambda state: (pool,)))

    def _open(self, revision: int) -> _Choice:
        options = self._options(revision)
        gap = self.gaps[revision]
        before = len(self._trail)
        alternatives = len(options) > 1 or not self._hints.shown[revision]
        if alternatives:
            for key in self._may_change(revision, options):
                self._set_taint(key, self._taint.get(key, 0) | gap)
        choice = _Choice(
            revision, gap, iter(options), self._store.mark(), before, len(self._trail)
        )
        self._choices.append(choice)
        return choice

    def _made(self, option: _Option, choice: _Choice) -> Made | None:
        """Return the changes that the candidate `option` makes in the store.

        `choice` is the state of the search at the present gap, a revision without a known writer.
        Returns None if the changes contradict an answer. The earlier gaps on which the
        contradiction depends are then added to `choice.conflicts`.
        """
        request = option.request
        if request is None:
            return self._ended(option.lease, choice)
        _, made = evaluate(self._store, request)
        revision = choice.revision
        shown, born = self._hints.shown[revision], self._hints.born[revision]
        fits = bool(made) and not any(
            self._hints.untouched(one if isinstance(one, str) else one.key, revision)
            for one in made
        )
        if fits and (shown or born):
            puts = {one.key: one for one in made if isinstance(one, KeyValue)}
            fits = all(puts.get(key) == kv for key, kv in shown.items()) and all(
                key in puts and puts[key].create_revision == revision for key in born
            )
        if fits:
            return made
        choice.conflicts |= (self._reads(request) | self._writes(request)) & (choice.gap - 1)
        return None

    def _ended(self, lease: int, choice: _Choice) -> Made | None:
        """Return the keys that are deleted if `lease` ends at the gap of `choice`.

        Returns None if the lease has no keys, or if an answer shows that one of them was not
        deleted.
        """
        keys = sorted(self._store.leases.get(lease, ()))
        if keys and not any(self._hints.untouched(key, choice.revision) for key in keys):
            return keys
        for key in self._leased:
            choice.conflicts |= self._taint.get(key, 0) & (choice.gap - 1)
        return None

    # --- taints

    def _set_taint(self, key: str, gaps: Gaps) -> None:
        before = self._taint.get(key, 0)
        if before != gaps:
            self._trail.append((key, before))
            self._put_taint(key, before, gaps)

    def _put_taint(self, key: str, before: Gaps, gaps: Gaps) -> None:
        if before == gaps:
            return
        if gaps:
            if not before:
                self._tainted.add(key)
            self._taint[key] = gaps
        else:
            del self._taint[key]
            self._tainted.remove(key)

    def _of_interval(self, key: str, end: str) -> Gaps:
        if not end:
            return self._taint.get(key, 0)
        gaps = 0
        for tainted in self._tainted.between(key, end):
            gaps |= self._taint[tainted]
        return gaps

    def _reads(self, request: Request) -> Gaps:
        """Return the gaps whose chosen writers influence the comparisons of `request`.

        A gap is a revision without a known writer.
        """
        gaps = 0
        for compare in compares(request):
            gaps |= self._of_interval(compare.key, compare.range_end)
        return gaps

    def _writes(self, request: Request) -> Gaps:
        """Return the gaps whose chosen writers influence the key-values that `request` replaces.

        A gap is a revision without a known writer.
        """
        gaps = 0
        for part in parts(request):
            end = part.range_end if isinstance(part, Delete) else ""
            gaps |= self._of_interval(part.key, end)
        return gaps

    def concerned(self, request: Request) -> Gaps:
        """Return the gaps whose chosen writers influence the answer to `request`.

        A gap is a revision without a known writer.
        """
        gaps = self._reads(request) | self._writes(request)
        for one in ranges(request):
            if one is not request and one.revision > 0:
                return (1 << len(self.gaps)) - 1 if self._choices else 0
            gaps |= self._of_interval(one.key, one.range_end)
        return gaps

    def keys_concerned(self, keys: Iterable[str]) -> Gaps:
        """Return the gaps whose chosen writers influence the key-values of `keys`.

        A gap is a revision without a known writer.
        """
        gaps = 0
        for key in keys:
            gaps |= self._taint.get(key, 0)
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
        if not self._taint:
            return
        request = op.request
        if isinstance(request, Range):
            if (
                request.keys_only or request.count_only or request.limit > 0 or request.filtered
            ):
                return
            self._fix(request.key, request.range_end)
        elif isinstance(request, Delete):
            self._fix(request.key, request.range_end)
        elif isinstance(request, Put) and request.prev_kv:
            self._fix(request.key, "")

    def _fix(self, key: str, end: str) -> None:
        if end:
            self.fix_keys(self._tainted.between(key, end))
        else:
            self.fix_keys((key,))

    def fix_keys(self, keys: Iterable[str]) -> None:
        """Mark `keys` as independent of earlier choices, because their key-values are known."""
        for key in keys:
            if key in self._taint:
                self._set_taint(key, 0)

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
                choice.conflicts |= conflict.gaps & (choice.gap - 1)
                self._undo_taints(choice.opened)
                return choice.revision
            self._close()
        return None

    def _close(self) -> None:
        self._undo_taints(self._choices.pop().before)

    def _undo_taints(self, length: int) -> None:
        while len(self._trail) > length:
            key, before = self._trail.pop()
            self._put_taint(key, self._taint.get(key, 0), before)


def _all_keys(operations: Sequence[Operation]) -> list[str]:
    keys: dict[str, None] = {}
    for op in operations:
        for part in parts(op.request):
            keys[part.key] = None
    return list(keys)
