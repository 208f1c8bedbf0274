"""A workload that fills a small backend, and sends requests at the limits of the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import ClassVar

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.operations_outside_load import FINAL_KEY, FINAL_WRITE
from splitbrain.harness.workloads.workload import ALWAYS, FINAL_READ, Draft, UniqueValues
from splitbrain.histories.kv import Compact, Delete, Put, Range, Txn
from splitbrain.histories.maintenance import (
    AlarmDisarm,
    AlarmList,
    Defragment,
    MemberSize,
    Snapshot,
)

VALUE_BYTES = (300, 3500)
"""The shortest and the longest length of values, in characters."""
MEMBERS_MAX = 5
"""The operator defragments this number of members: 0, 1 and so on, modulo the number of members."""
CLEAN_EVERY = (20, 60)
"""After a number of operations between these two, the operator frees space again."""
SNAPSHOT_SHARE = 0.04
"""The share of operations that download a snapshot, with the option `snapshots`."""
COMPACTION_INTERVAL_MS = 500
LATE_S = 5.5
"""How late automatic compaction may be, in s. The checker `limits` allows half a second less."""


class Limits:
    """Puts long values into `keys` keys until the quota of `quota_kib` KiB is used up.

    The first client is the operator: from time to time it deletes all keys, compacts, defragments
    every member, and clears the alarms. The settings of the members follow from the options:

    - `request_kib`: the limit of a request in KiB. Some requests are about as large as the limit.
    - `txn_operations`: the limit of the operations in a transaction. Some transactions have about
      as many operations.
    - `keep_revisions` or `keep_ms`: the store compacts by itself. Some reads are at about the
      oldest revision that it keeps.
    - `nested` 0: no transaction contains another one.
    - `check_ms`: the members compare their data at their start, and every `check_ms` ms.
    - `snapshots` 1: clients also download snapshots of members.
    """

    name: ClassVar[str] = "limits"
    description: ClassVar[str] = "a full backend, large requests, and automatic compaction"
    checkers: ClassVar[Sequence[str]] = (
        *(one for one in ALWAYS if one != "availability"), "limits", "snapshot",
    )
    """The checker `availability` is not used, because it counts the refusals of a full store as
    poor service."""
    may_always_fail: ClassVar[Sequence[str]] = (
        "put", "txn", "get_past", "compact", "defragment", "clear", "size", "disarm",
    )
    """A run is valid even if these functions never succeed: a full backend refuses writes, and
    reads of the past fail after compactions."""

    def __init__(
        self,
        *,
        keys: int = 12,
        quota_kib: int = 256,
        request_kib: int = 8,
        txn_operations: int = 8,
        keep_revisions: int = 0,
        keep_ms: int = 0,
        nested: int = 1,
        check_ms: int = 0,
        snapshots: int = 0,
    ) -> None:
        given = (keys, quota_kib, request_kib, txn_operations)
        past = min(keep_revisions, keep_ms, check_ms)
        if min(given) < 1 or past < 0 or keys > 1000 or {nested, snapshots} - {0, 1}:
            raise BadArguments(
                f"the workload limits with keys={keys}, quota_kib={quota_kib}, "
                f"request_kib={request_kib}, txn_operations={txn_operations}, "
                f"keep_revisions={keep_revisions}, keep_ms={keep_ms}, nested={nested}, "
                f"check_ms={check_ms}, snapshots={snapshots}: expected 1 to 1000 keys, "
                "positive limits, nothing negative, nested and snapshots 0 or 1"
            )
        self.keys = keys
        self.quota_kib = quota_kib
        self.request_kib = request_kib
        self.txn_operations = txn_operations
        self.keep_revisions = keep_revisions
        self.keep_ms = keep_ms
        self.nested = bool(nested)
        self.check_ms = check_ms
        self.snapshots = bool(snapshots)

    def member_settings(self) -> Mapping[str, int]:
        settings = {
            "backend_quota_bytes": self.quota_kib * 1024,
            "request_bytes_max": self.request_kib * 1024,
            "txn_operations_max": self.txn_operations,
        }
        if self.check_ms:
            settings |= {
                "corruption_check_interval_ms": self.check_ms, "initial_corruption_check": True,
            }
        if self.keep_ms:
            return {**settings, "compaction_period_ms": self.keep_ms}
        if self.keep_revisions:
            return {
                **settings, "compaction_revisions": self.keep_revisions,
                "compaction_interval_ms": COMPACTION_INTERVAL_MS,
            }
        return settings

    def settle_s(self) -> float:
        """Return the time in s that a run waits before its final reads.

        Within this time, automatic compaction has run once more after the last write.
        """
        if not (self.keep_ms or self.keep_revisions):
            return 0.0
        return 2 * (self.keep_ms or COMPACTION_INTERVAL_MS) / 1000 + LATE_S

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueValues(client)
        if client:
            while True:
                yield self._operation(random, values)
        while True:
            for _ in range(random.randrange(*CLEAN_EVERY)):
                yield self._operation(random, values)
            yield from self._clean()

    def final_write(self, value: str) -> Draft:
        """Return the final write through a member: a delete, because it needs no space."""
        return Draft(FINAL_WRITE, Delete(FINAL_KEY))

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (
            Draft(FINAL_READ, Range("k", "l")),
            Draft(FINAL_READ, AlarmList()),
            Draft(FINAL_READ, MemberSize()),
        )

    def _clean(self) -> Iterator[Draft]:
        yield Draft("alarms", AlarmList())
        for member in range(MEMBERS_MAX):
            yield Draft("clear", Delete("k", "l"), member=member)
            yield Draft("compact", Compact(0, physical=True), revision_back=0, member=member)
            yield Draft("defragment", Defragment(), member=member)
            yield Draft("size", MemberSize(), member=member)
        for member in range(MEMBERS_MAX):
            yield Draft("alarms", AlarmList(), member=member)
            yield Draft("disarm", AlarmDisarm(), after_ok=True)

    def _operation(self, random: Random, values: UniqueValues) -> Draft:
        if self.snapshots and random.random() < SNAPSHOT_SHARE:
            return Draft("snapshot", Snapshot())
        kind, key = random.random(), self._key(random)
        if kind < 0.45:
            return Draft("put", Put(key, values.take(self._length(random))))
        if kind < 0.6:
            return self._txn(random, values)
        if kind < 0.68:
            return Draft("delete", Delete(key))
        if kind < 0.7:
            return Draft("alarms", AlarmList())
        if kind < 0.73:
            return Draft("size", MemberSize())
        if kind < 0.85:
            return Draft("get", Range(key))
        back = random.randrange(8)
        if self.keep_revisions:
            back = max(0, self.keep_revisions + random.choice((-2, -1, 0, 0, 0, 1, 5, 40)))
        elif self.keep_ms:
            back = random.choice((0, 1, random.randrange(50), random.randrange(400)))
        return Draft("get_past", Range(key), revision_back=back)

    def _txn(self, random: Random, values: UniqueValues) -> Draft:
        """Draw a transaction of a few puts, or of about as many operations as the limit permits.

        The large transactions contain deletes and puts.
        """
        count = 1 + random.randrange(3)
        if random.random() < 0.25:
            count = max(1, self.txn_operations + random.randrange(-2, 3))
        numbers = random.sample(range(max(self.keys, count)), count)
        short = count > 3
        writes = tuple(
            Put(f"k{number:03d}", values.take(0 if short else self._length(random)))
            for number in numbers
        )
        if random.random() < 0.3 and self.nested:
            return Draft("txn", Txn(success=(Txn(success=writes),)))
        return Draft("txn", Txn(success=writes))

    def _length(self, random: Random) -> int:
        if random.random() < 0.06:
            limit = self.request_kib * 1024
            return min(round(limit * random.choice((0.5, 0.9, 1.01, 1.3))), 64 * 1024)
        return random.randrange(*VALUE_BYTES)

    def _key(self, random: Random) -> str:
        return f"k{random.randrange(self.keys):03d}"
