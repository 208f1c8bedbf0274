"""Records what one client has read and written, and completes its next requests with these values.

Some scheduled operations depend on earlier answers, such as a compare-and-swap that expects the
value that the client last read. The same schedule and the same answers give the same requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

import msgspec

from splitbrain.harness.drive.logins import Logins
from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.histories.auth import Authenticate, AuthenticateResult
from splitbrain.histories.client_call import Call
from splitbrain.histories.kv import (
    Compact,
    Compare,
    Delete,
    DeleteResult,
    Put,
    PutResult,
    Range,
    RangeResult,
    Txn,
    TxnResult,
)
from splitbrain.histories.list_value import extended
from splitbrain.histories.lock_and_election import Campaign, CampaignResult, Proclaim, Resign
from splitbrain.histories.maintenance import AlarmDisarm, AlarmList, AlarmListResult
from splitbrain.histories.service_operation import AnyRequest, AnyResult, with_token

NOSPACE = "NOSPACE"
"""The kind of alarm that a member raises when its backend is full."""


class Seen(NamedTuple):
    """The state of a key as one client last saw it.

    The answer to a put contains no version and no create_revision. After a put, these two fields
    are computed from the state that this client saw before the put. The computation assumes that no
    other client has written the key in the meantime.
    """

    value: str = ""
    mod: int = 0
    create: int = 0
    version: int = 0

    def put(self, value: str, revision: int) -> Seen:
        """Return the state of the key after this client has put `value` at `revision`."""
        return Seen(value, revision, self.create or revision, self.version + 1)


ABSENT = Seen()


def revision_back(seen: int, back: int) -> int:
    """Return the revision that is `back` lower than `seen`, but at least 1."""
    return max(1, seen - back)


def with_bounds(request: Range, revision: int) -> Range:
    """Return a copy of `request` in which `revision` replaces each revision bound above 0."""
    bounds = {
        name: revision for name in ("min_mod", "max_mod", "min_create", "max_create")
        if getattr(request, name)
    }
    return msgspec.structs.replace(request, **bounds)


def with_revisions(request: Txn, ranges_back: Sequence[tuple[int, int]], seen: int) -> Txn:
    """Return a copy of the transaction `request` in which some ranges read at a revision.

    Each pair in `ranges_back` contains the position of a range, and a distance. The range then
    reads at the revision `seen` minus this distance. `seen` is the highest revision that the client
    has seen. Other ranges are not changed. A position that the transaction does not have is
    ignored.
    """
    wanted = dict(ranges_back)
    positions = count()

    def changed(one: Put | Range | Delete | Txn) -> Put | Range | Delete | Txn:
        if isinstance(one, Txn):
            success = tuple(map(changed, one.success))
            return msgspec.structs.replace(
                one, success=success, failure=tuple(map(changed, one.failure))
            )
        if isinstance(one, Range) and (back := wanted.get(next(positions))) is not None:
            return msgspec.structs.replace(one, revision=revision_back(seen, back))
        return one

    result = changed(request)
    assert isinstance(result, Txn)
    return result


def next_page(request: Range, result: RangeResult) -> Range | None:
    """Return the range that continues `request` at the same revision, after the last key read.

    Returns None if `result` contains all keys of the range.
    """
    if not result.more or not result.kvs:
        return None
    return msgspec.structs.replace(
        request, key=f"{result.kvs[-1].key}\0", revision=request.revision or result.header.revision
    )


class LastSeen:
    """The last state of each key that one client has seen.

    The client learns from its acknowledged writes, and from its linearizable reads of the present
    revision. The state of a key that the client has never seen, or has seen to be absent, is
    `ABSENT`.
    """

    def __init__(self) -> None:
        self._keys: dict[str, Seen] = {}
        self.revision = 0
        """The highest revision in the header of any answer."""
        self.succeeded = False
        """Whether the outcome of the client's last operation was `ok`."""
        self.logins = Logins()
        self._next_page: Range | None = None
        """The range that continues the client's last range with a limit. None if that range was
        complete."""
        self._alarmed = 0
        """The id of a member whose alarm NOSPACE is raised, from the last list of alarms; 0 if
        none."""
        self._elected: dict[str, int] = {}
        """Maps each key with which the client won an election to the key's create revision."""

    def request(self, scheduled: ScheduledOperation) -> AnyRequest:
        """Return the request to send now for the operation `scheduled`.

        It is `scheduled.request`, completed with values and revisions that the client has seen.
        """
        token = self.logins.token(scheduled.user) if scheduled.user else ""
        return with_token(self._completed(scheduled), token)

    def _completed(self, scheduled: ScheduledOperation) -> AnyRequest:
        request = scheduled.request
        if scheduled.ranges_back and isinstance(request, Txn):
            request = with_revisions(request, scheduled.ranges_back, self.revision)
        if scheduled.expect_last_seen and isinstance(request, Txn):
            chosen = frozenset(scheduled.expect_last_seen)
            compare = tuple(
                self._with_seen_operand(one) if place in chosen else one
                for place, one in enumerate(request.compare)
            )
            request = msgspec.structs.replace(request, compare=compare)
            return self._with_seen_prefix(request) if scheduled.append_to_seen else request
        if scheduled.revision_back is not None and isinstance(request, Range | Compact):
            revision = revision_back(self.revision, scheduled.revision_back)
            if isinstance(request, Range) and request.filtered:
                return with_bounds(request, revision)
            return msgspec.structs.replace(request, revision=revision)
        if scheduled.continue_list and self._next_page is not None:
            return self._next_page
        if isinstance(request, AlarmDisarm):
            return AlarmDisarm(self._alarmed)
        if isinstance(request, Proclaim | Resign):
            revision = self._elected.get(request.key, 0)
            return msgspec.structs.replace(request, revision=revision)
        return request

    @staticmethod
    def look(scheduled: ScheduledOperation) -> Txn | None:
        """Return the read that the client sends before `scheduled`; None if it needs no read.

        A transaction that appends to lists needs a read of the lists.
        """
        if not scheduled.append_to_seen or not isinstance(scheduled.request, Txn):
            return None
        keys = dict.fromkeys(one.key for one in scheduled.request.compare)
        return Txn((), tuple(Range(key) for key in keys))

    def observe(self, request: AnyRequest, result: AnyResult | Any) -> None:
        """Record what the answer `result` to `request` shows about keys and revisions.

        An answer to a `Call`, an operation of a user's client, is ignored.
        """
        if type(request) is Call:
            return
        revision = result.header.revision
        if isinstance(request, Range) and isinstance(result, RangeResult) and request.limit:
            self._next_page = next_page(request, result)
        self.revision = max(self.revision, revision)
        self._learn(request, result, revision)

    def _with_seen_prefix(self, request: Txn) -> Txn:
        """Return a copy of `request` in which each put extends the list that this client saw."""
        success = tuple(
            msgspec.structs.replace(
                one, value=extended(self._keys.get(one.key, ABSENT).value, one.value)
            )
            if isinstance(one, Put) else one
            for one in request.success
        )
        return msgspec.structs.replace(request, success=success)

    def _with_seen_operand(self, compare: Compare) -> Compare:
        seen = self._keys.get(compare.key, ABSENT)
        match compare.target:
            case "mod":
                return msgspec.structs.replace(compare, operand=seen.mod)
            case "create":
                return msgspec.structs.replace(compare, operand=seen.create)
            case "version":
                return msgspec.structs.replace(compare, operand=seen.version)
            case "value" if seen.mod:
                return msgspec.structs.replace(compare, operand=seen.value)
            case "value":
                # An absent key has no value to compare with, but it has the mod_revision 0.
                return msgspec.structs.replace(compare, target="mod", operand=0)
            case _:
                return compare

    def _learn(self, request: AnyRequest, result: AnyResult, revision: int) -> None:
        learn = _LEARN.get((type(request), type(result)))
        if learn is not None:
            learn(self, request, result, revision)

    def _learn_put(self, request: Put, _: PutResult, revision: int) -> None:
        before = self._keys.get(request.key, ABSENT)
        self._keys[request.key] = before.put(request.value, revision)

    def _learn_delete(self, request: Delete, _: DeleteResult, __: int) -> None:
        if not request.range_end:
            self._keys.pop(request.key, None)

    def _learn_txn(self, request: Txn, result: TxnResult, revision: int) -> None:
        branch = request.success if result.succeeded else request.failure
        for one, answer in zip(branch, result.responses, strict=False):
            self._learn(one, answer, revision)

    def _learn_token(self, request: Authenticate, result: AuthenticateResult, _: int) -> None:
        self.logins.learn(request.name, result.token)

    def _learn_alarms(self, _: AlarmList, result: AlarmListResult, __: int) -> None:
        full = (one.member for one in result.alarms if one.kind == NOSPACE)
        self._alarmed = max(full, default=0)

    def _learn_election(self, _: Campaign, result: CampaignResult, __: int) -> None:
        self._elected[result.key] = result.revision

    def _learn_range(self, request: Range, result: RangeResult, _: int) -> None:
        old = request.revision or request.serializable
        if not old and not request.keys_only and not request.filtered:
            self._read(request, result)

    def _read(self, request: Range, result: RangeResult) -> None:
        if not request.range_end and result.count == 0:
            self._keys.pop(request.key, None)
        for one in result.kvs:
            self._keys[one.key] = Seen(
                one.value, one.mod_revision, one.create_revision, one.version
            )


_LEARN: Mapping[tuple[type, type], Callable[[LastSeen, Any, Any, int], None]] = {
    (Put, PutResult): LastSeen._learn_put,
    (Range, RangeResult): LastSeen._learn_range,
    (Delete, DeleteResult): LastSeen._learn_delete,
    (Txn, TxnResult): LastSeen._learn_txn,
    (Authenticate, AuthenticateResult): LastSeen._learn_token,
    (AlarmList, AlarmListResult): LastSeen._learn_alarms,
    (Campaign, CampaignResult): LastSeen._learn_election,
}
"""What a client learns, by the types of the request and the answer. From other answers, a client
learns only the revision."""
