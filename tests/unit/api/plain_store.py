"""Implements a minimal store as a model: every version of every key, in a dict.

Tests compare `splitbrain.node.mvcc.store.Store` and `splitbrain.node.apply.store_requests` with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from splitbrain.node.mvcc.key_value import KeyValue, RangeResult
from splitbrain.node.mvcc.revision import CompactedRevision, FutureRevision


@dataclass
class PlainStore:
    revision: int = 1
    compacted_revision: int = -1
    leases: dict[int, object] = field(default_factory=dict)
    versions: dict[bytes, list[tuple[int, KeyValue | None]]] = field(default_factory=dict)

    def at(self, key: bytes, revision: int) -> KeyValue | None:
        found = [kv for mod, kv in self.versions.get(key, []) if mod <= revision]
        return found[-1] if found else None

    def range(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        revision: int = 0,
        limit: int = 0,
        count_only: bool = False,
    ) -> RangeResult:
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        at_revision = revision or self.revision
        if at_revision < self.compacted_revision:
            raise CompactedRevision(at_revision, self.compacted_revision)
        found = [
            kv
            for name in sorted(self.versions)
            if self.covers(name, key, range_end) and (kv := self.at(name, at_revision)) is not None
        ]
        kvs = [] if count_only else found[: limit or None]
        return RangeResult(kvs=kvs, count=len(found), revision=self.revision)

    @staticmethod
    def covers(name: bytes, key: bytes, range_end: bytes) -> bool:
        if not range_end:
            return name == key
        return name >= key and (range_end == b"\0" or name < range_end)

    def write(self) -> PlainTransaction:
        return PlainTransaction(self, self.revision)

    def compact(self, revision: int) -> None:
        if revision <= self.compacted_revision:
            raise CompactedRevision(revision, self.compacted_revision)
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        self.compacted_revision = revision


@dataclass
class PlainTransaction:
    store: PlainStore
    begun_at: int

    @property
    def revision(self) -> int:
        return self.store.revision

    def range(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        revision: int = 0,
        limit: int = 0,
        count_only: bool = False,
    ) -> RangeResult:
        return self.store.range(
            key, range_end, revision=revision, limit=limit, count_only=count_only
        )

    def put(self, key: bytes, value: bytes, lease: int = 0) -> KeyValue | None:
        previous = self.store.at(key, self.store.revision)
        self.store.revision = self.begun_at + 1
        kv = KeyValue(
            key=key,
            create_revision=self.store.revision if previous is None else previous.create_revision,
            mod_revision=self.store.revision,
            version=1 if previous is None else previous.version + 1,
            value=value,
            lease=lease,
        )
        self.store.versions.setdefault(key, []).append((self.store.revision, kv))
        return previous

    def delete_range(self, key: bytes, range_end: bytes = b"") -> list[KeyValue]:
        previous = list(self.store.range(key, range_end).kvs)
        if previous:
            self.store.revision = self.begun_at + 1
        for kv in previous:
            self.store.versions[kv.key].append((self.store.revision, None))
        return previous

    def end(self) -> None:
        pass
