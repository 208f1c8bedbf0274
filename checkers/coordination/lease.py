"""`lease`: keys are deleted with their lease, neither too early nor too late.

The reference is the members' change log. It shows which key was attached to which lease at each
revision. A deletion in the log that no operation requested is the end of a lease.

The log contains no times, but the answers bound the time of each revision
(`coordination/revision_times.py`).

    revoked       After a revocation was acknowledged at revision V, no key is attached to the
                  lease at V or later.
    early         An operation that grants or renews a lease is invoked at time t and answered
                  with a time to live of T. The lease does not end before t + T, unless a
                  revocation was invoked. A wrong clock or a deposed leader is no excuse.
    late          The keys are deleted soon after the last possible renewal plus T. The period
                  starts again at each change of term, because a new leader of etcd extends each
                  lease by its whole time to live. It also starts again at the end of each fault.
    kept alive    After an answer has shown the end of a lease, no keep-alive of it succeeds.
    time to live  The remaining time in an answer is at most the granted time, and at least the
                  time that certainly remains. The keys in the answer were attached to the lease.

Cost: n log n. Source: etcd's Lease service and its lessor (server/lease/lessor.go). There the
leader's clock decides about renewals, `Promote` extends the leases, and a loop revokes expired
leases every 500 ms.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from splitbrain.checkers import wording
from splitbrain.checkers.coordination.revision_times import RevisionTimes, answered_revision
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import ANOMALIES_MAX
from splitbrain.checkers.model.answers import made_revision
from splitbrain.checkers.model.requests import parts
from splitbrain.checkers.model.sequential_store import in_interval
from splitbrain.checkers.reference_member import reference
from splitbrain.checkers.verdict import Anomaly, Verdict, merge, not_applicable, with_evidence
from splitbrain.histories.history import FaultWindow, History, Operation
from splitbrain.histories.kv import Delete
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
from splitbrain.histories.lock import Campaign, Lock
from splitbrain.histories.member_state import Change
from splitbrain.histories.service import ServiceOperation

NAME = "lease"
S = 1_000_000_000
CLOCK_ERROR_NS = 50_000_000
"""How far the clocks of members and clients can drift apart during one lease."""
LATE_NS = 5 * S
"""The time allowed from the end of a lease to the deletion of its keys. The leader looks for
expired leases twice a second and revokes them through Raft. A busy leader needs longer, and a
change of leader adds an election timeout."""


@dataclass(frozen=True, slots=True)
class _Renewal:
    """A grant or a keep-alive that was answered with a time to live."""

    call: int
    ended: int
    ttl_ns: int
    operation: ServiceOperation

    @property
    def lives_until(self) -> int:
        """The time before which the lease cannot have expired."""
        return self.call + self.ttl_ns - CLOCK_ERROR_NS


@dataclass(slots=True)
class _Lease:
    id: int
    grant: ServiceOperation | None = None
    grants: int = 0
    """The number of grants that may have taken effect. If this number is greater than one, several
    leases had this id."""
    ttl_ns: int = 0
    renewals: list[_Renewal] = field(default_factory=list)
    last_try: int = 0
    """The latest time at which a grant or a keep-alive may have taken effect."""
    revokes: list[ServiceOperation] = field(default_factory=list)
    queries: list[ServiceOperation] = field(default_factory=list)
    """The operations keep-alive and time-to-live."""
    uncertain: bool = False
    """Whether a grant or keep-alive has no answer. Such a request may take effect at any time."""


@dataclass(frozen=True, slots=True)
class _Attachment:
    """A key that is attached to a lease from revision `first` until just before revision `end`.

    If `end` is None, the key stays attached until the end of the run.
    """

    key: str
    lease: int
    first: int
    end: int | None
    by_lease: bool
    """Whether the attachment ended because the lease ended, and not by an operation."""


def check_lease(evidence: Evidence) -> Verdict:
    """Keys are deleted with their lease, neither early nor late; answers about leases are true.

    The checker applies only to histories that contain operations on leases. The verdict is unknown
    if no member's change log begins at the first revision, or if a lease was granted more than
    once.
    """
    history = evidence.history
    services = [op for op in history.services if _is_of_lease(op)]
    if not services:
        return not_applicable(NAME, "the history has no operation on a lease")
    known = reference(evidence.members)
    check = _Check(history, services, known.changes if known else ())
    check.run()
    unknown = [] if known else ["no member's change log is known"]
    if known and known.first_revision > 2:
        unknown.append(f"the change log contains no revision before {known.first_revision}")
    again = check.granted_again()
    if again:
        unknown.append(f"{len(again)} leases (first {again[0]}) were granted more than once")
    valid = merge((not check.anomalies, None if unknown else True))
    verdict = Verdict(
        checker=NAME, valid=valid, anomalies=tuple(check.anomalies), counts=check.counts(),
        why="; ".join(unknown),
    )
    succeeded = any(op.outcome == "ok" for op in services)
    return with_evidence(verdict, succeeded, "no operation of a lease succeeded")


def _is_of_lease(op: ServiceOperation) -> bool:
    return isinstance(op.request, LeaseGrant | LeaseKeepAlive | LeaseRevoke | LeaseTimeToLive)


class _Check:
    def __init__(
        self, history: History, services: Sequence[ServiceOperation], changes: Sequence[Change]
    ) -> None:
        self._history = history
        self._services = services
        self._changes = changes
        self._clock = RevisionTimes(history)
        self._leases: dict[int, _Lease] = {}
        self._attachments: list[_Attachment] = []
        self._ends: dict[int, tuple[int, list[str]]] = {}
        """For each lease that ended with keys: the revision and the keys."""
        self.anomalies: list[Anomaly] = []
        self._kept_alive = 0

    def run(self) -> None:
        self._gather()
        self._follow_keys()
        for lease in self._leases.values():
            if lease.grants > 1:
                continue
            self._check_revoked(lease)
            self._check_early(lease)
            self._check_late(lease)
        for op in self._services:
            if isinstance(op.result, LeaseTimeToLiveResult):
                self._check_time_to_live(op, op.result)

    def granted_again(self) -> list[int]:
        """Return the ids that were granted more than once. They are not judged."""
        return [lease.id for lease in self._leases.values() if lease.grants > 1]

    def counts(self) -> dict[str, int]:
        return {
            "leases": len(self._leases),
            "kept alive": self._kept_alive,
            "revoked": sum(
                any(op.outcome == "ok" for op in lease.revokes) for lease in self._leases.values()
            ),
            "ended with keys": len(self._ends),
            "keys on leases": len(self._attachments),
            "anomalies": len(self.anomalies),
        }

    # --- the history of each lease

    def _gather(self) -> None:
        for op in self._services:
            request, result = op.request, op.result
            assert isinstance(
                request, LeaseGrant | LeaseKeepAlive | LeaseRevoke | LeaseTimeToLive
            )
            number = request.id or (result.id if isinstance(result, LeaseGrantResult) else 0)
            if not number:
                continue  # a grant without an answer, so that its id is unknown
            lease = self._leases.setdefault(number, _Lease(number))
            if isinstance(request, LeaseKeepAlive | LeaseTimeToLive):
                lease.queries.append(op)
            if isinstance(request, LeaseRevoke):
                if op.outcome != "fail":
                    lease.revokes.append(op)
                continue
            if isinstance(request, LeaseTimeToLive) or op.outcome == "fail":
                continue
            if isinstance(request, LeaseGrant):
                lease.grant = op
                lease.grants += 1
                lease.ttl_ns = max(lease.ttl_ns, request.ttl * S)
            lease.last_try = max(lease.last_try, op.ended or op.call)
            lease.uncertain |= op.outcome == "info"
            if isinstance(result, LeaseGrantResult | LeaseKeepAliveResult) and result.ttl > 0:
                ttl_ns = result.ttl * S
                lease.ttl_ns = max(lease.ttl_ns, ttl_ns)
                lease.renewals.append(_Renewal(op.call, op.ret or op.call, ttl_ns, op))
                self._kept_alive += isinstance(result, LeaseKeepAliveResult)

    def _follow_keys(self) -> None:
        """Find the keys of each lease, and the deletions that the end of a lease caused."""
        writers = {
            answered_revision(op): op
            for op in self._history.operations
            if op.result is not None and made_revision(op.result)
        }
        deletes = [
            (op, part)
            for op in self._history.operations
            if op.outcome == "info"
            for part in parts(op.request)
            if isinstance(part, Delete)
        ]
        # The store also deletes a key of a lock or an election for other reasons.
        queues = {
            op.request.name for op in self._history.services
            if isinstance(op.request, Lock | Campaign)
        }
        on: dict[str, tuple[int, int]] = {}
        for revision, changes in _by_revision(self._changes):
            unrequested = revision not in writers and all(
                change.kind == "delete" for change in changes
            )
            gone = dict.fromkeys(on[change.key][0] for change in changes if change.key in on)
            by_lease = (
                unrequested and len(gone) == 1 and all(change.key in on for change in changes)
                and not self._may_have_deleted(deletes, changes)
                and not any(change.key.rpartition("/")[0] in queues for change in changes)
            )
            if by_lease:
                keys = [change.key for change in changes]
                self._ends.setdefault(next(iter(gone)), (revision, keys))
            for change in changes:
                if change.key in on:
                    lease, first = on.pop(change.key)
                    self._attachments.append(
                        _Attachment(
                            key=change.key, lease=lease, first=first, end=revision,
                            by_lease=by_lease,
                        )
                    )
                if change.kind == "put" and change.lease:
                    on[change.key] = (change.lease, revision)
        self._attachments += [
            _Attachment(key=key, lease=lease, first=first, end=None, by_lease=False)
            for key, (lease, first) in on.items()
        ]

    def _may_have_deleted(
        self, deletes: Sequence[tuple[Operation, Delete]], changes: Sequence[Change]
    ) -> bool:
        before = self._clock.made_before(changes[0].revision)
        return any(
            (before is None or op.call < before)
            and all(in_interval(one.key, part.key, part.range_end) for one in changes)
            for op, part in deletes
        )

    # --- the rules

    def _check_revoked(self, lease: _Lease) -> None:
        acknowledged = [op for op in lease.revokes if isinstance(op.result, LeaseRevokeResult)]
        if not acknowledged:
            return
        revoke = min(acknowledged, key=answered_revision)
        revision = answered_revision(revoke)
        for one in self._attachments:
            if one.lease == lease.id and (one.end is None or one.end > revision):
                until = "to the end" if one.end is None else f"until revision {one.end}"
                when = "newly" if one.first > revision else "still"
                self._add(
                    "outlived its revocation",
                    f"{one.key} was {when} attached to lease {lease.id} from revision {one.first} "
                    f"on, {until}; the lease was revoked at revision {revision}: {_answer(revoke)} "
                    f"at {wording.seconds(revoke.ret or 0)}", revoke, revision=revision,
                )

        known = [op for op in acknowledged if op.ret is not None]
        if not known:
            return
        first = min(known, key=lambda op: op.ret or 0)
        for renewal in lease.renewals:
            if renewal.call > (first.ret or 0):
                self._add(
                    "kept alive when dead",
                    f"{_answer(renewal.operation)} with {renewal.ttl_ns // S} s to live, invoked "
                    f"at {wording.seconds(renewal.call)}, although {_answer(first)} at "
                    f"{wording.seconds(first.ret or 0)}", renewal.operation, first,
                )
                return

    def _check_early(self, lease: _Lease) -> None:
        for seen, how, witness, revision in self._seen_ended(lease):
            if any(op.call <= seen for op in lease.revokes):
                continue
            for renewal in lease.renewals:
                if renewal.operation is witness or seen >= renewal.lives_until:
                    continue
                dead_before = seen < renewal.call
                kind = "kept alive when dead" if dead_before else "died early"
                ops = (renewal.operation, *([witness] if witness is not None else ()))
                self._add(
                    kind,
                    f"lease {lease.id} had ended by {wording.seconds(seen)}, {how}, but "
                    f"{_answer(renewal.operation)} with {renewal.ttl_ns // S} s to live, invoked "
                    f"at {wording.seconds(renewal.call)}"
                    + ("" if dead_before else "; no revocation had been invoked")
                    + self._terms_between(renewal.call, seen),
                    *ops, revision=revision,
                )
                break

    def _seen_ended(
        self, lease: _Lease
    ) -> Iterator[tuple[int, str, ServiceOperation | None, int]]:
        """Yield the times at which the lease had certainly ended.

        Each item contains the time in ns, the reason in words, the operation that shows the end
        (None: the change log shows it) and the revision.
        """
        if lease.id in self._ends:
            revision, keys = self._ends[lease.id]
            before = self._clock.made_before(revision)
            if before is not None:
                some = ", ".join(keys[:3])
                why = f"because {some} was deleted with it at revision {revision}"
                yield before, why, None, revision
        granted = lease.grant.ret if lease.grant is not None and lease.grant.result else None
        if granted is None:
            return
        for op in lease.queries:
            result = op.result
            if (
                isinstance(result, LeaseKeepAliveResult | LeaseTimeToLiveResult)
                and op.call > granted
                and (result.ttl < 0 or (result.ttl == 0 and isinstance(op.request, LeaseKeepAlive)))
                and op.ret is not None
            ):
                yield op.ret, f"because {_answer(op)}", op, answered_revision(op)
                return

    def _terms_between(self, begin: int, end: int) -> str:
        later = [time for time in self._clock.terms if begin < time <= end]
        if not later:
            return ""
        return f"; a new term began by {wording.seconds(later[-1])}"

    def _check_late(self, lease: _Lease) -> None:
        if lease.grant is None or not lease.ttl_ns:
            return
        for one in self._attachments:
            if one.lease != lease.id:
                continue
            alive = self._clock.not_made_at(one.end) if one.end is not None else self._clock.last
            due = max(
                [lease.last_try, *self._new_starts(self._history.faults, alive)]
            ) + lease.ttl_ns + LATE_NS
            if lease.uncertain:
                due += lease.ttl_ns
            if alive > due:
                self._add(
                    "outlived its lease",
                    f"{one.key} existed at {wording.seconds(alive)}, {(alive - due) / S:.1f} s "
                    f"after it should have been deleted with lease {lease.id} of "
                    f"{lease.ttl_ns // S} s, which was last kept alive at "
                    f"{wording.seconds(lease.last_try)}",
                    lease.grant, revision=one.first,
                )
                return

    def _new_starts(self, faults: Iterable[FaultWindow], until: int) -> list[int]:
        """Return the times up to `until` at which leases may start again with their full time."""
        terms = self._clock.terms[: bisect_right(self._clock.terms, until)]
        ends = [
            min(until, until if fault.end is None else fault.end)
            for fault in faults if fault.begin <= until
        ]
        return [*terms[-1:], *ends]

    def _check_time_to_live(self, op: ServiceOperation, result: LeaseTimeToLiveResult) -> None:
        assert isinstance(op.request, LeaseTimeToLive)
        lease = self._leases.get(op.request.id)
        if lease is None or result.ttl < 0 or op.ret is None or lease.grants > 1:
            return
        if lease.ttl_ns and result.ttl * S > lease.ttl_ns + LATE_NS:
            self._add(
                "wrong time to live",
                f"{_answer(op)} at {wording.seconds(op.ret)} with {result.ttl} s to live, but it "
                f"was granted for {lease.ttl_ns // S} s", op,
            )
        sure = [one.lives_until for one in lease.renewals if one.ended <= op.call]
        if sure and result.ttl + 1 < (max(sure) - op.ret) / S and not lease.revokes:
            self._add(
                "wrong time to live",
                f"{_answer(op)} at {wording.seconds(op.ret)} with {result.ttl} s to live, but it "
                f"lives at least until {wording.seconds(max(sure))}", op,
            )
        known = {one.key for one in self._attachments if one.lease == lease.id}
        foreign = [key for key in result.keys if key not in known]
        if foreign and self._changes:
            self._add(
                "wrong keys",
                f"{_answer(op)} at {wording.seconds(op.ret)} with {', '.join(foreign[:3])}, which "
                "was never attached to that lease", op,
            )

    def _add(
        self, kind: str, because: str, *ops: ServiceOperation, revision: int = 0
    ) -> None:
        if sum(one.kind == kind for one in self.anomalies) >= ANOMALIES_MAX:
            return
        events = sorted({
            index for op in ops for index in (op.invoked, op.returned) if index is not None
        })
        members = tuple(dict.fromkeys(op.node for op in ops if op.node))
        detail = {"revision": revision} if revision else {}
        self.anomalies.append(Anomaly(
            kind=kind, because=because, events=tuple(events), members=members, detail=detail
        ))


def _answer(op: ServiceOperation) -> str:
    """Describe an answer, as in `n2 answered process 3's keep-alive of lease 7`."""
    request = op.request
    what = {
        LeaseGrant: "grant", LeaseRevoke: "revocation", LeaseKeepAlive: "keep-alive",
        LeaseTimeToLive: "time-to-live request",
    }.get(type(request), op.f)
    return (
        f"{op.node or 'a member'} answered process {op.process}'s {what} of lease "
        f"{getattr(request, 'id', 0)}"
    )


def _by_revision(changes: Sequence[Change]) -> Iterator[tuple[int, list[Change]]]:
    group: list[Change] = []
    for change in changes:
        if group and group[0].revision != change.revision:
            yield group[0].revision, group
            group = []
        group.append(change)
    if group:
        yield group[0].revision, group
