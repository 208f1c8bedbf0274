"""A model of a v3 store with leases, locks and elections, which can have one planted bug.

The model is sequential: it answers one request at a time. Leases end by the store's clock. Locks
and elections follow etcd's recipe (`splitbrain.checkers.coordination.wait_queue`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from splitbrain.histories.kv import (
    Header,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    Txn,
    TxnResult,
)
from splitbrain.histories.lease import (
    LeaseGrant,
    LeaseGrantResult,
    LeaseKeepAlive,
    LeaseKeepAliveResult,
    LeaseRevoke,
    LeaseRevokeResult,
    LeaseTimeToLive,
    LeaseTimeToLiveResult,
)
from splitbrain.histories.lock_and_election import (
    Campaign,
    CampaignResult,
    Leader,
    LeaderResult,
    Lock,
    LockResult,
    Proclaim,
    ProclaimResult,
    Resign,
    ResignResult,
    Unlock,
    UnlockResult,
)
from splitbrain.histories.member_state import Change
from splitbrain.histories.service_operation import AnyRequest, AnyResult

S = 1_000_000_000
ELECTION_NS = S // 2
"""A new leader extends each lease by this additional time."""
SETTLED_NS = 7 * S
"""A bug about the keys of a lease affects only keys that were attached or detached at least this
time ago. The member that answers perhaps does not know later changes."""

COORDINATION_CORRUPTIONS: Mapping[str, tuple[str, str, str]] = {
    "lease-outlives-revocation": (
        "lease", "a revocation leaves a key", "attached after revocation"),
    "lease-dies-early": ("lease", "a lease ends before its time to live", "ended early"),
    "lease-never-ends": ("lease", "a lease does not expire", "ended late"),
    "lease-renews-the-dead": (
        "lease", "a lease that has ended is kept alive", "kept alive after its end"),
    "lease-wrong-time": (
        "lease", "the reported time to live is too long", "wrong time to live"),
    "lease-foreign-key": (
        "lease", "a key is reported that is not attached to the lease", "wrong keys"),
    "lease-forgets-key": ("lease", "an attached key is not reported", "wrong keys"),
    "lease-keeps-key": ("lease", "a key is reported after it was detached", "wrong keys"),
    "lease-time-restarts": (
        "lease", "a request for the time to live renews the lease", "time started again"),
    "lease-wrong-grant": (
        "lease", "another granted time is reported than was granted", "wrong time to live"),
    "lease-put-on-ended": (
        "lease", "a put with a lease that has ended succeeds", "put with an ended lease"),
    "lease-put-on-none": (
        "lease", "a put with a lease that was never granted succeeds", "put with an unknown lease"),
    "lease-out-of-nothing": (
        "lease", "a lease that was never granted is kept alive", "never granted"),
    "lease-checkpoint-lost": (
        "lease", "a new leader ignores how much time was left", "time started again"),
    "lock-granted-out-of-turn": (
        "lock", "a lock is granted to two clients", "granted out of turn"),
    "lock-granted-to-the-dead": (
        "lock", "a lock is granted although its key is deleted", "granted without a key"),
    "lock-without-lease": (
        "lock", "the key of a lock is not attached to its lease", "wrong lease"),
    "fence-passes": (
        "lock", "a comparison is true although its key is deleted", "fence passed"),
    "election-granted-out-of-turn": (
        "election", "two candidates are elected", "elected out of turn"),
    "election-granted-to-the-dead": (
        "election", "a candidate is elected although its key is deleted", "elected out of turn"),
    "election-wrong-leader": (
        "election", "another candidate is reported as leader", "wrong leader"),
    "election-lost-proclamation": (
        "election", "a proclamation is written to another key", "lost proclamation"),
    "election-proclaims-without-lease": (
        "election", "a proclamation detaches the leader's key from its lease", "wrong lease"),
    "election-resigns-in-vain": (
        "election", "a leader that resigned remains leader", "resigned without effect"),
}
"""The planted bugs. For each name: the workload, a description, and the kind of anomaly that a
checker must report."""


class RefusedError(Exception):
    """The store refuses a request. The message is the error that the client receives."""


@dataclass(slots=True)
class Lease:
    """A lease with a time to live of `ttl` s, which ends at the time `until` in ns.

    `recorded` is the remaining time in s that the leader recorded last, or None. `record_at` is the
    time in ns of the next record, or None.
    """

    ttl: int
    until: int
    recorded: int | None = None
    record_at: int | None = None


@dataclass(slots=True)
class CoordinationStore:
    """The sequential store. `now` is the time of its clock, in ns.

    `bug` is a name in `COORDINATION_CORRUPTIONS`, or "". From the time `bug_from_ns` on, the store
    shows the bug whenever it can.
    """

    bug: str = ""
    bug_from_ns: int = 0
    checkpoint_s: int = 0
    """The interval in s at which the leader records the remaining time of leases; 0: never."""
    term: int = 2
    revision: int = 1
    now: int = 0
    kvs: dict[str, KeyValue] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    leases: dict[int, Lease] = field(default_factory=dict)
    immortal: dict[int, None] = field(default_factory=dict)
    ended: dict[int, None] = field(default_factory=dict)
    attached_at: dict[str, int] = field(default_factory=dict)
    """For each key, the time in ns at which it was last attached to a lease, or detached."""
    bug_done: bool = False

    def has_bug(self, bug: str) -> bool:
        """Return whether the store must now behave as `bug` describes.

        This is the case if `bug` is planted and its time has come. `bug_done` is then set.
        """
        if self.bug != bug or self.now < self.bug_from_ns:
            return False
        self.bug_done = True
        return True

    def put(self, key: str, value: str, lease: int = 0) -> None:
        before = self.kvs.get(key)
        if (before.lease if before else 0) != lease:
            self.attached_at[key] = self.now
        create = before.create_revision if before else self.revision
        version = before.version + 1 if before else 1
        self.kvs[key] = KeyValue(
            key=key, value=value, create_revision=create, mod_revision=self.revision,
            version=version, lease=lease,
        )
        self.changes.append(Change(
            revision=self.revision, kind="put", key=key, value=value, create_revision=create,
            version=version, lease=lease,
        ))

    def delete(self, keys: list[str]) -> None:
        if keys:
            self.revision += 1
        for key in keys:
            del self.kvs[key]
            self.attached_at[key] = self.now
            self.changes.append(Change(self.revision, "delete", key))

    def keys_of(self, lease: int) -> list[str]:
        return [key for key, kv in self.kvs.items() if kv.lease == lease]

    def change_leader(self) -> None:
        """Elect a new leader, which restarts the time of each lease.

        A lease gets the remaining time that was recorded, or its whole time to live if none was
        recorded.
        """
        self.term += 1
        for lease in self.leases.values():
            left = lease.ttl if lease.recorded is None else lease.recorded
            if left < lease.ttl and self.has_bug("lease-checkpoint-lost"):
                left = lease.ttl
            lease.until = self.now + left * S + ELECTION_NS
            self._plan_record(lease, left)

    def _plan_record(self, lease: Lease, left: int) -> None:
        long = self.checkpoint_s and left > self.checkpoint_s
        lease.record_at = self.now + self.checkpoint_s * S if long else None

    def expire(self) -> None:
        """End the leases whose time is over, and record the remaining time of the others."""
        for number, lease in list(self.leases.items()):
            if lease.record_at is not None and lease.record_at <= self.now:
                lease.recorded = max(0, -(-(lease.until - self.now) // S))
                self._plan_record(lease, lease.recorded)
            if number in self.immortal:
                continue
            early = (
                self.keys_of(number) and lease.until - self.now > S
                and self.has_bug("lease-dies-early")
            )
            if early or lease.until <= self.now:
                if not early and self.keys_of(number) and self.has_bug("lease-never-ends"):
                    self.immortal[number] = None
                    continue
                self.end_lease(number)

    def end_lease(self, number: int) -> None:
        del self.leases[number]
        self.ended[number] = None
        self.delete(self.keys_of(number))

    def oldest_key(self, name: str) -> KeyValue | None:
        """Return the key that holds the lock or election `name`; None if no key does."""
        queue = [kv for key, kv in self.kvs.items() if key.rpartition("/")[0] == name]
        return min(queue, key=lambda kv: kv.create_revision, default=None)

    def header(self) -> Header:
        return Header(self.revision, raft_term=self.term)

    # --- requests ---------------------------------------------------------------------

    def answer(self, request: AnyRequest) -> AnyResult:
        """Answer `request`. Raises RefusedError if the store refuses the request.

        A `Lock` or `Campaign` only joins a queue. Its answer must not reach the client before
        `is_granted` returns True.
        """
        match request:
            case Put():
                return self._put(request)
            case Range():
                found = self.kvs.get(request.key)
                kvs: tuple[KeyValue, ...] = (found,) if found else ()
                if request.range_end:
                    kvs = tuple(
                        kv for key, kv in sorted(self.kvs.items())
                        if request.key <= key < request.range_end
                    )
                return RangeResult(self.header(), kvs, len(kvs))
            case Txn():
                return self._txn(request)
        return self._lease(request)

    def _put(self, request: Put) -> PutResult:
        if request.lease and request.lease not in self.leases:
            bug = "lease-put-on-ended" if request.lease in self.ended else "lease-put-on-none"
            if not self.has_bug(bug):
                raise RefusedError("etcdserver: requested lease not found")
        self.revision += 1
        self.put(request.key, request.value, request.lease)
        return PutResult(self.header())

    def _txn(self, request: Txn) -> TxnResult:
        passes = all(one.key in self.kvs for one in request.compare)
        if not passes and self.has_bug("fence-passes"):
            passes = True
        put = request.success[0]
        if passes and isinstance(put, Put):
            self.revision += 1
            self.put(put.key, put.value)
            return TxnResult(self.header(), True, (PutResult(self.header()),))
        return TxnResult(self.header(), False, (RangeResult(self.header()),))

    def _lease(self, request: AnyRequest) -> AnyResult:
        match request:
            case LeaseGrant():
                granted = Lease(request.ttl, self.now + request.ttl * S)
                self.leases[request.id] = granted
                self._plan_record(granted, request.ttl)
                return LeaseGrantResult(self.header(), request.id, request.ttl)
            case LeaseRevoke():
                return self._revoke(request)
            case LeaseKeepAlive():
                lease = self.leases.get(request.id)
                if lease is None:
                    known = request.id in self.ended
                    bug = "lease-renews-the-dead" if known else "lease-out-of-nothing"
                    ttl = 5 if self.has_bug(bug) else 0
                    return LeaseKeepAliveResult(self.header(), request.id, ttl)
                lease.until = self.now + lease.ttl * S
                lease.recorded = None
                return LeaseKeepAliveResult(self.header(), request.id, lease.ttl)
            case LeaseTimeToLive():
                return self._time_to_live(request)
        return self._queue(request)

    def _revoke(self, request: LeaseRevoke) -> LeaseRevokeResult:
        if request.id not in self.leases:
            raise RefusedError("etcdserver: requested lease not found")
        keys = self.keys_of(request.id)
        if keys and self.has_bug("lease-outlives-revocation"):
            del self.leases[request.id]
            self.ended[request.id] = None
            self.delete(keys[1:])
        else:
            self.end_lease(request.id)
        return LeaseRevokeResult(self.header())

    def _time_to_live(self, request: LeaseTimeToLive) -> LeaseTimeToLiveResult:
        lease = self.leases.get(request.id)
        if lease is None:
            return LeaseTimeToLiveResult(self.header(), request.id, -1)
        used = lease.ttl * S - (lease.until - self.now)
        if used > 3 * S // 2 and self.has_bug("lease-time-restarts"):
            lease.until = self.now + lease.ttl * S
        left = max(0, (lease.until - self.now) // S)
        if self.has_bug("lease-wrong-time"):
            left += 1000
        return LeaseTimeToLiveResult(
            header=self.header(), id=request.id, ttl=left,
            granted_ttl=lease.ttl + self.has_bug("lease-wrong-grant"),
            keys=tuple(self._reported_keys(request.id)),
        )

    def _reported_keys(self, number: int) -> list[str]:
        keys = self.keys_of(number)
        attached = {change.key for change in self.changes if change.lease == number}
        others = [key for key in self.kvs if key not in attached]
        if others and self.has_bug("lease-foreign-key"):
            return [*keys, others[0]]
        settled = [key for key, at in self.attached_at.items() if at < self.now - SETTLED_NS]
        old = [key for key in settled if key in keys]
        if old and self.has_bug("lease-forgets-key"):
            keys.remove(old[0])
        gone = [key for key in settled if key in attached and key not in keys]
        if gone and self.has_bug("lease-keeps-key"):
            keys.append(gone[0])
        return keys

    def _queue(self, request: AnyRequest) -> AnyResult:
        match request:
            case Lock() | Campaign():
                if request.lease not in self.leases:
                    raise RefusedError("etcdserver: requested lease not found")
                self.revision += 1
                value = request.value if isinstance(request, Campaign) else ""
                key, lease = f"{request.name}/{request.lease:x}", request.lease
                if isinstance(request, Lock) and self.has_bug("lock-without-lease"):
                    lease = 0
                self.put(key, value, lease)
                if isinstance(request, Lock):
                    return LockResult(self.header(), key)
                return CampaignResult(self.header(), key, self.revision, request.lease)
            case Unlock():
                if request.key in self.kvs:
                    self.delete([request.key])
                return UnlockResult(self.header())
            case Proclaim():
                if request.key not in self.kvs:
                    raise RefusedError("election: not leader")
                self.revision += 1
                lease = request.lease
                if self.has_bug("election-proclaims-without-lease"):
                    lease = 0
                if not self.has_bug("election-lost-proclamation"):
                    self.put(request.key, request.value, lease)
                else:
                    self.put("other", request.value)
                return ProclaimResult(self.header())
            case Resign():
                if request.key in self.kvs and not self.has_bug("election-resigns-in-vain"):
                    self.delete([request.key])
                return ResignResult(self.header())
            case Leader():
                first = self.oldest_key(request.name)
                others = [kv for key, kv in self.kvs.items() if kv is not first
                          and key.rpartition("/")[0] == request.name]
                if others and self.has_bug("election-wrong-leader"):
                    first = others[0]
                if first is None:
                    raise RefusedError("election: no leader")
                return LeaderResult(self.header(), first)
        raise AssertionError(request)

    def is_granted(self, request: Lock | Campaign) -> bool:
        """Return whether the lock or campaign `request` is granted now.

        `request` has joined its queue before. A correct store grants the first request of a queue.
        Raises RefusedError if the key of `request` is deleted.
        """
        key = f"{request.name}/{request.lease:x}"
        kind = "lock" if isinstance(request, Lock) else "election"
        if key not in self.kvs:
            if self.has_bug(f"{kind}-granted-to-the-dead"):
                return True
            raise RefusedError("mutex: session is expired")
        first = self.oldest_key(request.name)
        if first is not None and first.key == key:
            return True
        return self.has_bug(f"{kind}-granted-out-of-turn")
