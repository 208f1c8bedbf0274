"""Rules 2 and 3 of `checkers.revisions`: replay the writes in order, and compare every answer."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from checkers import wording
from checkers.revisions import Answers, ChangeLog, Findings, must_be_recent
from checkers.sequential_store import (
    Evaluation,
    SequentialStore,
    UnknowableError,
    in_interval,
    mismatch,
)
from checkers.uncertain import WriteIndex, match, parts
from histories.history import Operation
from histories.kv import (
    Delete,
    DeleteResult,
    Header,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    Request,
    Result,
    Txn,
    TxnResult,
)
from histories.member_state import Change


class Replay:
    """One sweep over the revisions. `run`, then all is in `findings`."""

    def __init__(
        self,
        operations: Sequence[Operation],
        answers: Answers,
        log: ChangeLog,
        findings: Findings,
    ) -> None:
        self._operations = operations
        self._answers = answers
        self._log = log
        self._findings = findings
        self._store = SequentialStore()
        uncertain = [op for op in operations if op.outcome == "info" and _may_write(op)]
        uncertain.sort(key=_invoked)
        self._uncertain_ops = uncertain
        self._uncertain_calls = [op.invoked for op in uncertain]
        self._uncertain = WriteIndex(uncertain)
        self._candidates: dict[int, list[Operation]] = {}
        self._made: dict[int, Sequence[Change]] = {}
        self._shown: tuple[dict[int, dict[str, KeyValue]], list[int]] | None = None
        self._blind: list[tuple[int, int]] = []
        self._unverified = 0
        self._every_operation: WriteIndex | None = None

    def run(self) -> None:
        for revision in self._revisions():
            self._fill_up_to(revision - 1)
            if revision in self._log.changes or revision in self._answers.writers:
                self._write(revision)
            elif revision > self._store.revision:
                self._fill_up_to(revision)
            for op in self._answers.readers.get(revision, ()):
                self._read(op)
        self._name_writers()
        self._count_blind()
        if self._unverified:
            self._findings.unknown.append(
                f"{self._unverified} answers depend on keys of which it is not known what they held"
            )

    def _revisions(self) -> list[int]:
        known = dict.fromkeys(self._log.changes)
        known.update(dict.fromkeys(self._answers.writers))
        known.update(dict.fromkeys(self._answers.readers))
        return sorted(known)

    # --- writes

    def _write(self, revision: int) -> None:
        """Make `revision`, known by the change log or by its acknowledged writer."""
        writer = self._answers.writers.get(revision)
        logged = self._log.changes.get(revision)
        if revision <= self._store.revision:
            if writer is not None and revision <= 1:
                self._findings.add(
                    "impossible revision",
                    f"{wording.operation(writer)} was acknowledged at revision {revision}; a "
                    "fresh store is at 1, and its first write makes 2",
                    writer, revision=revision,
                )
            return
        if logged is None and self._log.covers(revision):
            logged = ()  # a hole, told when the log was read
        beyond = writer is not None and revision > self._log.last and self._log.final
        if writer is not None and beyond:
            self._findings.add(
                "lost write",
                f"{wording.operation(writer)} was acknowledged at revision {revision} at "
                f"{wording.seconds(writer.ret or 0)}; the members stand at {self._log.last}",
                writer, revision=revision,
            )
        expected = self._evaluate(writer) if writer is not None else None
        if writer is not None and expected is not None:
            self._compare_answer(writer, expected)
        if logged is None:
            self._move_without_log(revision, writer, expected)
            return
        fits = writer is not None and self._compare_changes(revision, writer, expected, logged)
        if not fits:
            self._look_for_maker(revision, logged)
        self._store.apply(revision, logged)

    def _evaluate(self, op: Operation) -> Evaluation | None:
        try:
            return Evaluation(self._store, op.request)
        except UnknowableError:
            self._unverified += 1
            return None

    def _compare_changes(
        self, revision: int, writer: Operation, expected: Evaluation | None,
        logged: Sequence[Change],
    ) -> bool:
        """Whether `writer` made what the log holds at `revision`, if not quite as it should."""
        if expected is None:
            return True
        if same_changes(expected.changes, logged):
            return True
        if _same_keys_and_values(expected.changes, logged) or _named_by(writer, logged):
            kind, but = "wrong effect", "the members hold"
        else:
            kind, but = "lost write", "at that revision the members hold"
        self._findings.add(
            kind,
            f"{wording.operation(writer)} was acknowledged at revision {revision} and should have "
            f"made {wording.changes(expected.changes)}; {but} {wording.changes(logged)}",
            writer, revision=revision,
        )
        return kind == "wrong effect"

    def _look_for_maker(self, revision: int, logged: Sequence[Change]) -> None:
        """Which uncertain writes would, at this point, have made just these changes."""
        deadline = self._answers.deadline(revision)
        self._made[revision] = logged
        self._candidates[revision] = [
            op
            for op in self._uncertain.makers(logged)
            if (deadline is None or op.invoked < deadline) and self._would_make(op, logged)
        ]

    def _would_make(self, op: Operation, logged: Sequence[Change]) -> bool:
        try:
            return same_changes(Evaluation(self._store, op.request).changes, logged)
        except UnknowableError:
            return True

    # --- where there is no change log

    def _move_without_log(
        self, revision: int, writer: Operation | None, expected: Evaluation | None
    ) -> None:
        if expected is not None:
            self._store.apply(revision, expected.changes)
        elif writer is not None:
            self._store.forget(revision, self._keys_touched([writer]))

    def _fill_up_to(self, revision: int) -> None:
        """Pass over revisions of which neither the log nor an acknowledged write tells."""
        if revision <= self._store.revision:
            return
        if self._log.final:
            # Beyond a final log there is nothing to know; who claims otherwise is told apart.
            known_from, known_to = self._log.first, max(revision, self._log.last)
        else:
            known_from, known_to = self._log.first, self._log.last
        self._fill_without_log(min(revision, known_from - 1))
        if revision > self._store.revision and known_from <= known_to:
            self._store.revision = max(self._store.revision, min(revision, known_to))
        self._fill_without_log(revision)

    def _fill_without_log(self, revision: int) -> None:
        if revision <= self._store.revision:
            return
        shown, marks = self._shown_by_answers()
        first = self._store.revision + 1
        for hidden in marks[bisect_left(marks, first) : bisect_left(marks, revision + 1)]:
            self._go_blind(self._store.revision + 1, hidden - 1)
            self._make_as_shown(hidden, shown[hidden])
        self._go_blind(self._store.revision + 1, revision)

    def _shown_by_answers(self) -> tuple[dict[int, dict[str, KeyValue]], list[int]]:
        """Key-values of revisions without a known writer, as any answer shows them."""
        if self._shown is None:
            shown: dict[int, dict[str, KeyValue]] = {}
            for op in self._operations:
                if op.result is not None and not _without_values(op.request):
                    for kv in key_values(op.result):
                        if kv.mod_revision not in self._answers.writers:
                            shown.setdefault(kv.mod_revision, {}).setdefault(kv.key, kv)
            self._shown = shown, sorted(shown)
        return self._shown

    def _make_as_shown(self, revision: int, shown: dict[str, KeyValue]) -> None:
        """A write whose result somebody read; what else it changed only its operation tells."""
        changes = [
            Change(revision, "put", kv.key, kv.value, kv.create_revision, kv.version, kv.lease)
            for kv in shown.values()
        ]
        self._look_for_maker_of_some(revision, changes)
        makers = self._candidates[revision]
        if len(makers) == 1:
            try:
                made = Evaluation(self._store, makers[0].request).changes
                if all(one in made for one in changes):
                    self._store.apply(revision, made)
                    return
            except UnknowableError:
                pass
        keys = self._keys_touched(makers)
        self._store.forget(revision, [key for key in keys if key not in shown])
        self._store.apply(revision, changes)
        if len(keys) > len(shown):
            self._blind.append((revision, revision))

    def _look_for_maker_of_some(self, revision: int, changes: list[Change]) -> None:
        deadline = self._answers.deadline(revision)
        self._made[revision] = changes
        self._candidates[revision] = [
            op
            for op in self._uncertain.makers(changes)
            if deadline is None or op.invoked < deadline
        ]

    def _go_blind(self, first: int, last: int) -> None:
        if first > last:
            return
        self._blind.append((first, last))
        deadline = self._answers.deadline(last)
        calls = self._uncertain_calls
        able = len(calls) if deadline is None else bisect_left(calls, deadline)
        self._store.forget(last, self._keys_touched(self._uncertain_ops[:able]))

    def _keys_touched(self, ops: Iterable[Operation]) -> list[str]:
        """Keys that `ops` might change: those named, and those now there in a deleted interval."""
        keys: dict[str, None] = {}
        for op in ops:
            for part in parts(op.request):
                if isinstance(part, Delete) and part.range_end:
                    keys.update(dict.fromkeys(self._store.keys(part.key, part.range_end)))
                else:
                    keys[part.key] = None
        return list(keys)

    def _count_blind(self) -> None:
        """Each revision of which nothing is known needs an uncertain write of its own."""
        if not self._blind:
            return
        calls = self._uncertain_calls
        needed, place = 0, 0
        others = sorted(revision for revision, ops in self._candidates.items() if ops)
        for first, last in self._blind:
            needed += last - first + 1
            while place < len(others) and others[place] <= last:
                place += 1
            deadline = self._answers.deadline(last)
            able = len(calls) if deadline is None else bisect_left(calls, deadline)
            if needed + place > able and not self._leases_used():
                self._findings.add(
                    "phantom write",
                    f"revision {last} was seen, but of the revisions up to it {needed + place} "
                    f"have no acknowledged write, and only {able} uncertain writes had been "
                    "invoked by the time it was seen",
                    *self._seen_at(last), revision=last,
                )
                return
        count = sum(last - first + 1 for first, last in self._blind)
        self._findings.unknown.append(
            f"{count} revisions (first {self._blind[0][0]}) were made by uncertain writes, no "
            "change log reaches back to them and no answer shows them"
        )

    def _leases_used(self) -> bool:
        """Then a revision may be a lease that ended, and no operation's."""
        return any(
            isinstance(part, Put) and part.lease
            for op in self._operations
            for part in parts(op.request)
        )

    def _seen_at(self, revision: int) -> list[Operation]:
        for later in sorted([*self._answers.readers, *self._answers.writers]):
            if later >= revision:
                reader = self._answers.readers.get(later)
                return [reader[0]] if reader else [self._answers.writers[later]]
        return []

    # --- answers

    def _read(self, op: Operation) -> None:
        assert op.result is not None
        request = op.request
        revision = op.result.header.revision
        if self._log.final and revision > self._log.last:
            self._findings.add(
                "impossible revision",
                f"{wording.answered(op)} to {wording.request(request)}; the members stand at "
                f"{self._log.last} at the end",
                op, revision=revision,
            )
            return
        if isinstance(request, Range) and request.revision > revision:
            self._findings.add(
                "wrong answer",
                f"{wording.answered(op)} to {wording.request(request)} at revision "
                f"{request.revision}, which was still to come",
                op, revision=revision,
            )
            return
        try:
            expected = Evaluation(self._store, request)
        except UnknowableError:
            self._unverified += 1
            self._learn(op)
            return
        if expected.changes:
            self._findings.add(
                "missed effect",
                f"{wording.answered(op)} to {wording.request(request)} and wrote nothing; at that "
                f"revision it should have made {wording.changes(expected.changes)}",
                op, revision=revision,
            )
            return
        self._compare_answer(op, expected)

    def _learn(self, op: Operation) -> None:
        """What a plain read shows of keys that were unknown until now."""
        request, result = op.request, op.result
        if not isinstance(request, Range) or not isinstance(result, RangeResult):
            return
        if request.revision or request.limit or request.keys_only or request.count_only:
            return
        shown = {kv.key: kv for kv in result.kvs}
        for key in list(self._store.unknown):
            if in_interval(key, request.key, request.range_end):
                self._store.learn(key, shown.get(key))

    def _compare_answer(self, op: Operation, expected: Evaluation) -> None:
        assert op.result is not None
        different = mismatch(expected.result, op.result) or _headers(
            op.result, self._store.revision, self._store.revision + bool(expected.changes)
        )
        if different:
            self._findings.add(
                "wrong answer",
                f"{wording.node(op)} answered process {op.process}'s "
                f"{wording.request(op.request)} at {wording.seconds(op.ret or 0)}, revision "
                f"{op.result.header.revision}{_how(op)}: {different}",
                op, revision=op.result.header.revision,
            )

    # --- who made what

    def _name_writers(self) -> None:
        maker = match(self._candidates)
        self._findings.uncertain_applied = len(maker)
        used = {op.invoked: revision for revision, op in maker.items()}
        for revision, changes in self._made.items():
            if revision not in maker and changes:
                self._blame_for(revision, changes, used)

    def _blame_for(self, revision: int, changes: Sequence[Change], used: dict[int, int]) -> None:
        """Say why nobody can have made these changes at this revision."""
        if _lease_ended(changes, self._store, revision):
            return
        told = f"revision {revision} holds {wording.changes(changes)}"
        if self._every_operation is None:
            self._every_operation = WriteIndex(self._operations)
        makers = self._every_operation.makers(changes)
        for op in makers:
            if op.outcome == "fail":
                self._findings.add(
                    "failed write present",
                    f"{told}, which is {wording.operation(op)}; that failed at "
                    f"{wording.seconds(op.ret or 0)}: {op.error or 'refused'}",
                    op, revision=revision,
                )
                return
        for op in makers:
            other = _revision_of(op) if op.outcome == "ok" else used.get(op.invoked)
            if other is not None and other != revision:
                self._findings.add(
                    "applied twice",
                    f"{told}, which is {wording.operation(op)}; that already made revision {other}",
                    op, revision=revision,
                )
                return
        self._blame_uncertain(revision, told, makers)

    def _blame_uncertain(self, revision: int, told: str, makers: list[Operation]) -> None:
        deadline = self._answers.deadline(revision)
        for op in makers:
            if op.outcome != "info":
                continue
            if deadline is not None and op.invoked > deadline:
                seen = self._seen_at(revision)
                self._findings.add(
                    "write before its invocation",
                    f"{told}, which is {wording.operation(op)}, invoked only at "
                    f"{wording.seconds(op.call)}; by then it had been seen",
                    op, *seen, revision=revision,
                )
            else:
                self._findings.add(
                    "wrong effect",
                    f"{told}; {wording.operation(op)} ({op.error or 'unanswered'}) names it, but "
                    "would have made something else at that point",
                    op, revision=revision,
                )
            return
        self._findings.add("phantom write", f"{told}, which nobody wrote", revision=revision)


def same_changes(expected: Sequence[Change], logged: Sequence[Change]) -> bool:
    """Equal in all that a watch tells: of a deleted key only that it was deleted."""
    if len(expected) != len(logged):
        return False
    for wanted, held in zip(expected, logged, strict=True):
        if wanted.kind != held.kind or wanted.key != held.key:
            return False
        if wanted.kind == "put" and (
            wanted.value != held.value
            or wanted.version != held.version
            or wanted.create_revision != held.create_revision
            or wanted.lease != held.lease
        ):
            return False
    return True


def _same_keys_and_values(expected: Sequence[Change], logged: Sequence[Change]) -> bool:
    return [(c.kind, c.key, c.value) for c in expected] == [
        (c.kind, c.key, c.value if c.kind == "put" else "") for c in logged
    ]


def _named_by(op: Operation, logged: Sequence[Change]) -> bool:
    """Whether `op` names all puts of `logged`, in whichever branch: then they are its own."""
    puts = {(part.key, part.value) for part in parts(op.request) if isinstance(part, Put)}
    made = [(change.key, change.value) for change in logged if change.kind == "put"]
    return bool(made) and all(one in puts for one in made)


def key_values(result: Result) -> Iterable[KeyValue]:
    """All key-values in an answer."""
    match result:
        case RangeResult():
            yield from result.kvs
        case PutResult():
            if result.prev_kv is not None:
                yield result.prev_kv
        case DeleteResult():
            yield from result.prev_kvs
        case TxnResult():
            for one in result.responses:
                yield from key_values(one)


def _headers(result: Result, before: int, after: int) -> str:
    """Responses inside a transaction bear the revision before or after it, or none."""
    if not isinstance(result, TxnResult):
        return ""
    for one in result.responses:
        header: Header = one.header
        if header.revision not in (0, before, after):
            return (
                f"a response inside has revision {header.revision}, expected {before} or {after}"
            )
        inner = _headers(one, before, after)
        if inner:
            return inner
    return ""


def _how(op: Operation) -> str:
    if isinstance(op.request, Range) and op.request.revision:
        return f", read at revision {op.request.revision}"
    return "" if must_be_recent(op.request) else ", serializable"


def _revision_of(op: Operation) -> int | None:
    return op.result.header.revision if op.result is not None else None


def _lease_ended(changes: Sequence[Change], store: SequentialStore, revision: int) -> bool:
    """Whether only keys of one lease were deleted: nobody's operation, but rightly so."""
    leases: set[int] = set()
    for change in changes:
        if change.kind != "delete":
            return False
        try:
            held = store.past(change.key, "", revision - 1)
        except UnknowableError:
            return True
        leases.add(held[0].lease if held else 0)
    return len(leases) == 1 and 0 not in leases


def _may_write(op: Operation) -> bool:
    return any(True for _ in parts(op.request))


def _without_values(request: Request) -> bool:
    """Whether an answer to `request` may show keys without their values."""
    match request:
        case Range(keys_only=keys_only):
            return keys_only
        case Txn():
            return any(_without_values(one) for one in (*request.success, *request.failure))
        case _:
            return False


def _invoked(op: Operation) -> int:
    return op.invoked
