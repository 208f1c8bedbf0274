"""What a client has learned from its answers, for operations that need to know.

Part of the client, not of chance: the same plan and the same answers give the same
requests.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from splitbrain.harness.schedule.operation import ScheduledOperation
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
from splitbrain.histories.lock import Campaign, CampaignResult, Proclaim, Resign
from splitbrain.histories.service import AnyRequest, AnyResult


class Seen(NamedTuple):
    """A key as it was, or, after the client's own put, as it must be if nobody else has put
    or deleted it since: version and create_revision are not in a put's answer."""

    value: str = ""
    mod: int = 0
    create: int = 0
    version: int = 0

    def put(self, value: str, revision: int) -> Seen:
        return Seen(value, revision, self.create or revision, self.version + 1)


ABSENT = Seen()


class LastSeen:
    """Each key as one client last saw it.

    A key never seen, or seen to be absent, has the value "" and 0 for all else; a client
    learns from its own acknowledged writes and from its linearizable reads at the
    present alike.
    """

    def __init__(self) -> None:
        self._keys: dict[str, Seen] = {}
        self.revision = 0
        """The highest revision that any answer's header said."""
        self.went_well = False
        """Whether the last operation was answered with success."""
        self._elected: dict[str, int] = {}
        """The revision of each key that was elected."""

    def request(self, planned: ScheduledOperation) -> AnyRequest:
        """The request to send for `planned`, now."""
        request = planned.request
        if planned.expect_last_seen and isinstance(request, Txn):
            chosen = frozenset(planned.expect_last_seen)
            compare = tuple(
                self._expect(one) if place in chosen else one
                for place, one in enumerate(request.compare)
            )
            request = msgspec.structs.replace(request, compare=compare)
            return self._appended(request) if planned.append_to_seen else request
        if planned.revision_back and isinstance(request, Range):
            revision = max(0, self.revision - planned.revision_back)
            return msgspec.structs.replace(request, revision=revision)
        if planned.revision_back and isinstance(request, Compact):
            revision = max(1, self.revision - planned.revision_back)
            return msgspec.structs.replace(request, revision=revision)
        if isinstance(request, Proclaim | Resign):
            revision = self._elected.get(request.key, 0)
            return msgspec.structs.replace(request, revision=revision)
        return request

    @staticmethod
    def look(planned: ScheduledOperation) -> Txn | None:
        """What to read before `planned` can be sent, if anything."""
        if not planned.append_to_seen or not isinstance(planned.request, Txn):
            return None
        keys = dict.fromkeys(one.key for one in planned.request.compare)
        return Txn((), tuple(Range(key) for key in keys))

    def observe(self, request: AnyRequest, result: AnyResult) -> None:
        """Learn from an answer."""
        revision = result.header.revision
        self.revision = max(self.revision, revision)
        self._learn(request, result, revision)

    def _appended(self, request: Txn) -> Txn:
        """Lists that are put, behind what their key held."""
        success = tuple(
            msgspec.structs.replace(
                one, value=extended(self._keys.get(one.key, ABSENT).value, one.value)
            )
            if isinstance(one, Put) else one
            for one in request.success
        )
        return msgspec.structs.replace(request, success=success)

    def _expect(self, compare: Compare) -> Compare:
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
                # No value compares equal to an absent key; that it is absent is asked
                # by its mod_revision.
                return msgspec.structs.replace(compare, target="mod", operand=0)
            case _:
                return compare

    def _learn(self, request: AnyRequest, result: AnyResult, revision: int) -> None:
        match request, result:
            case Put(), PutResult():
                before = self._keys.get(request.key, ABSENT)
                self._keys[request.key] = before.put(request.value, revision)
            case Range(revision=0, serializable=False, keys_only=False), RangeResult():
                self._read(request, result)
            case Campaign(), CampaignResult():
                self._elected[result.key] = result.revision
            case Delete(range_end=""), DeleteResult():
                self._keys.pop(request.key, None)
            case Txn(), TxnResult():
                branch = request.success if result.succeeded else request.failure
                for one, answer in zip(branch, result.responses, strict=False):
                    self._learn(one, answer, revision)
            case _:
                pass

    def _read(self, request: Range, result: RangeResult) -> None:
        if not request.range_end and result.count == 0:
            self._keys.pop(request.key, None)
        for one in result.kvs:
            self._keys[one.key] = Seen(
                one.value, one.mod_revision, one.create_revision, one.version
            )
