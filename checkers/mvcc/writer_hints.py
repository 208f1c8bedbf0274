"""Collects facts about gaps from the answers alone, before any replay.

A gap is a revision without a known writer. A key-value in an answer gives three facts. Its
mod_revision is the last revision, up to the revision of the answer, that changed the key. Its
create_revision is the revision that created the key. Its version is the number of puts since the
key was created. These facts reduce the candidates that the search in `mvcc/writer_search.py` tries.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from splitbrain.checkers.model.answer_facts import key_values, made_revision
from splitbrain.checkers.model.request_parts import compares, parts, put_keys, ranges
from splitbrain.checkers.model.sequential_store import Made
from splitbrain.checkers.mvcc.refuted_choices import (
    NOTHING,
    Dependence,
    KeySets,
    on_all_fields,
    on_versions,
)
from splitbrain.checkers.mvcc.write_index import WriteIndex
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import (
    KeyValue,
    Put,
    Range,
    Request,
    Txn,
)


class GapHints:
    """Facts about revisions without a known writer, from the answers of operations.

    `gaps` are these revisions, and `certain` the operations whose answers are used.
    """

    def __init__(
        self, operations: Sequence[Operation], certain: Sequence[Operation], gaps: Iterable[int]
    ) -> None:
        self.shown: dict[int, dict[str, KeyValue]] = {gap: {} for gap in gaps}
        """For each gap, the key-values that the gap made, as far as answers show them."""
        self.pinned: dict[int, int] = {}
        """The revisions of some operations without an answer, by the index of the invocation. An
        operation is in the map if an answer shows a key-value that only this operation can have
        put."""
        self._until: dict[str, dict[int, int]] = {}
        self._sorted: dict[str, list[int]] = {}
        self._mentioned: dict[tuple[str, str], int] = {}
        """The revision that put a key and value, if an answer shows it."""
        self._seen: set[tuple[str, str]] = set()
        """The keys and values in all answers. The value is empty in an answer without values."""
        self._operands: set[str] = set()
        self._ordered = False
        self.born: dict[int, dict[str, None]] = {gap: {} for gap in self.shown}
        """For each gap, the keys that the gap created, as far as answers show them."""
        self._versions: dict[str, dict[int, tuple[int, int]]] = {}
        """(version, create_revision), by key and mod_revision."""
        self._puts: dict[str, list[int]] = {}
        """The revisions of the acknowledged puts of each key."""
        self._mods: dict[str, list[int]] = {}
        """The revisions in `_versions`, in order."""
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
        """Find, for each key, the revisions that certainly did not put this key.

        Only revisions whose writer is unknown are considered.

        The answers of the operations `certain` show versions of keys. If the version of a key grew
        by exactly the number of acknowledged puts between two answers, no other revision between
        them put the key.
        """
        for op in certain:
            assert op.result is not None
            for key in put_keys(op.request, op.result):
                self._puts.setdefault(key, []).append(op.result.header.revision)
        for key, versions in self._versions.items():
            puts = self._puts.setdefault(key, [])
            puts.sort()
            until = self._until.setdefault(key, {})
            mods = self._mods[key] = sorted(versions)
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
                if (
                    isinstance(part, Put) and not part.ignore_value
                    and (part.key, part.value) in self._mentioned
                ):
                    putters = writers.putters(part.key, part.value)
                    if len(putters) == 1:
                        self.pinned[op.invoked] = self._mentioned[part.key, part.value]

    def untouched(self, key: str, revision: int) -> bool:
        """Return whether an answer shows that `revision` did not change `key`."""
        until = self._until.get(key)
        if until is None:
            return False
        mods = self._sorted.get(key)
        if mods is None:
            mods = self._sorted[key] = sorted(until)
        place = bisect_left(mods, revision)
        return place > 0 and until[mods[place - 1]] >= revision

    def alive(self, key: str, revision: int) -> bool:
        """Return whether answers show that `key` existed before and after `revision`."""
        later = self._later(key, revision)
        return later is not None and self._versions[key][later][1] < revision

    def version_max(self, key: str, revision: int) -> float:
        """Return the highest version that a put of `key` at `revision` can have made.

        A later answer shows a version of the key, and some of the puts until then are known.
        """
        later = self._later(key, revision)
        if later is None:
            return math.inf
        version, created = self._versions[key][later]
        if created >= revision:
            return math.inf
        puts = self._puts.get(key, ())
        known = bisect_right(puts, later) - bisect_right(puts, revision)
        if later > revision and not (puts and puts[bisect_right(puts, later) - 1] == later):
            known += 1
        return version - known

    def _later(self, key: str, revision: int) -> int | None:
        """Return the first revision from `revision` on with a known version of `key`."""
        mods = self._mods.get(key, ())
        place = bisect_left(mods, revision)
        return mods[place] if place < len(mods) else None

    def contradiction(
        self, made: Made, revision: int, kept: Sequence[str], sets: KeySets
    ) -> Dependence | None:
        """Return the state that decides that answers contradict the changes `made` at `revision`.

        Returns NOTHING if answers contradict them in every state, and None if they do not
        contradict them. The puts of the keys in `kept` keep the value or the lease, so they depend
        on the state.
        """
        of, wrong = sets.of, NOTHING
        puts = {one.key: one for one in made if isinstance(one, KeyValue)}
        for one in made:
            if isinstance(one, str):
                if self.alive(one, revision):
                    return NOTHING
                if self.untouched(one, revision):
                    wrong |= on_versions(of(one))
            elif self.untouched(one.key, revision):
                return NOTHING
            elif one.version > self.version_max(one.key, revision):
                wrong |= on_versions(of(one.key))
        for key, kv in self.shown[revision].items():
            put = puts.get(key)
            if put is None or (put.value != kv.value and key not in kept):
                return NOTHING
            if put != kv:
                wrong |= on_all_fields(of(key)) if key in kept else on_versions(of(key))
        for key in self.born[revision]:
            if key not in puts:
                return NOTHING
            if puts[key].create_revision != revision:
                wrong |= on_versions(of(key))
        return None if wrong == NOTHING else wrong

    def shows(self, key: str, value: str) -> bool:
        """Return whether an answer shows `value` at `key`, or a comparison may depend on it."""
        return self._ordered or value in self._operands or (key, value) in self._seen

    def shape(self, request: Request) -> Request:
        """Return `request` without the values that appear in no answer and in no comparison.

        If two requests become equal in this way, no answer can distinguish them, so only one of
        them is tried.
        """
        if isinstance(request, Put):
            if request.ignore_value or self.shows(request.key, request.value):
                return request
            return Put(
                request.key, "", request.lease, prev_kv=True, ignore_lease=request.ignore_lease
            )
        if isinstance(request, Txn):
            success = tuple(self.shape(one) for one in request.success)
            failure = tuple(self.shape(one) for one in request.failure)
            return Txn(request.compare, success, failure)  # type: ignore[arg-type]
        return request
