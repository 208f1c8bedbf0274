"""What answers say, ahead of any replay, of the revisions that no one claims.

A key-value in an answer names the revision that made it, and says that nothing touched
its key from there to the revision that the answer tells of. Its create_revision names the
revision that created the key, and versions count the puts since. That leaves the search
of `splitbrain.checkers.mvcc.gap_search` little to try.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from splitbrain.checkers.model.answers import key_values, made_revision
from splitbrain.checkers.model.requests import compares, parts, put_keys, ranges
from splitbrain.checkers.model.uncertain_writes import WriteIndex
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import (
    KeyValue,
    Put,
    Range,
    Request,
    Txn,
)


class GapHints:
    """Made from the certain operations; `gaps` are the revisions that no one claims."""

    def __init__(
        self, operations: Sequence[Operation], certain: Sequence[Operation], gaps: Iterable[int]
    ) -> None:
        self.shown: dict[int, dict[str, KeyValue]] = {gap: {} for gap in gaps}
        """Of a gap: what answers show that it made."""
        self.pinned: dict[int, int] = {}
        """Uncertain operations (by invocation) of which an answer shows which revision they
        made: what they alone can have put."""
        self._until: dict[str, dict[int, int]] = {}
        self._sorted: dict[str, list[int]] = {}
        self._mentioned: dict[tuple[str, str], int] = {}
        """What an answer shows for certain that a revision put."""
        self._seen: set[tuple[str, str]] = set()
        """All that any answer shows, and the nothing that keys alone show."""
        self._operands: set[str] = set()
        self._ordered = False
        self.born: dict[int, dict[str, None]] = {gap: {} for gap in self.shown}
        """Of a gap: the keys that answers show to have been created there."""
        self._versions: dict[str, dict[int, tuple[int, int]]] = {}
        """By key and mod_revision: (version, create_revision)."""
        self._puts: dict[str, list[int]] = {}
        """Revisions of the acknowledged puts of a key."""
        for op in certain:
            self._take(op)
        self._count_puts(certain)
        for op in operations:
            for compare in compares(op.request):
                if compare.target == "value":
                    self._operands.add(str(compare.operand))
                    self._ordered = self._ordered or compare.result in "<>"
        self._pin(operations)

    def _take(self, op: Operation) -> None:
        assert op.result is not None
        revision = op.result.header.revision
        if isinstance(op.request, Range):
            revision = op.request.revision or revision
        elif made_revision(op.result):
            revision -= 1
        valueless = past = False
        if isinstance(op.request, Range | Txn):
            for one in ranges(op.request):
                valueless = valueless or one.keys_only
                past = past or (one is not op.request and one.revision > 0)
        for kv in key_values(op.result):
            mod, created = kv.mod_revision, kv.create_revision
            versions = self._versions.setdefault(kv.key, {})
            versions[mod] = (kv.version, created)
            versions.setdefault(created, (1, created))
            if created in self.born:
                self.born[created][kv.key] = None
            if not past:
                until = self._until.setdefault(kv.key, {})
                if until.get(mod, 0) < revision:
                    until[mod] = revision
            self._seen.add((kv.key, kv.value))
            if not valueless:
                self._mentioned[kv.key, kv.value] = mod
                if mod in self.shown:
                    self.shown[mod].setdefault(kv.key, kv)

    def _count_puts(self, certain: Sequence[Operation]) -> None:
        """Where a key's version grew by no more than its acknowledged puts, no gap touched it."""
        for op in certain:
            assert op.result is not None
            for key in put_keys(op.request, op.result):
                self._puts.setdefault(key, []).append(op.result.header.revision)
        for key, versions in self._versions.items():
            puts = sorted(self._puts.get(key, ()))
            until = self._until.setdefault(key, {})
            mods = sorted(versions)
            for mod, later in pairwise(mods):
                (version, created), (reached, same) = versions[mod], versions[later]
                between = bisect_left(puts, later) - bisect_right(puts, mod)
                if created == same and reached - version - 1 == between:
                    until[mod] = max(until.get(mod, 0), later - 1)

    def _pin(self, operations: Sequence[Operation]) -> None:
        writers = WriteIndex(operations)
        for op in operations:
            if op.outcome != "info":
                continue
            for part in parts(op.request):
                if isinstance(part, Put) and (part.key, part.value) in self._mentioned:
                    putters = writers.putters(part.key, part.value)
                    if len(putters) == 1:
                        self.pinned[op.invoked] = self._mentioned[part.key, part.value]

    def untouched(self, key: str, revision: int) -> bool:
        """Whether an answer says that `revision` did not touch `key`."""
        until = self._until.get(key)
        if until is None:
            return False
        mods = self._sorted.get(key)
        if mods is None:
            mods = self._sorted[key] = sorted(until)
        place = bisect_left(mods, revision)
        return place > 0 and until[mods[place - 1]] >= revision

    def shape(self, request: Request) -> Request:
        """Requests of one shape do the same, but for values that nobody ever sees."""
        if isinstance(request, Put):
            if (
                self._ordered
                or request.value in self._operands
                or (request.key, request.value) in self._seen
            ):
                return request
            return Put(request.key, "", request.lease, prev_kv=True)
        if isinstance(request, Txn):
            success = tuple(self.shape(one) for one in request.success)
            failure = tuple(self.shape(one) for one in request.failure)
            return Txn(request.compare, success, failure)  # type: ignore[arg-type]
        return request
