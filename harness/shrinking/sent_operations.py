"""Matches the operations in a recorded history with the operations of the schedule."""

from __future__ import annotations

from dataclasses import dataclass

from splitbrain.harness.drive.last_seen import LastSeen
from splitbrain.harness.drive.load import LOG_IN, LOOK
from splitbrain.harness.drive.logins import DISABLED
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.workloads.operations_outside_load import FINAL_FUNCTIONS
from splitbrain.histories.history import History
from splitbrain.histories.operation import Operation
from splitbrain.histories.service_operation import ServiceOperation


@dataclass(frozen=True, slots=True)
class SentOperation:
    """An operation of the schedule that a client has sent.

    `number` is its number in the schedule (from 1), and `place` its index among the operations of
    the client `client`. Times are in ns since the start of the run.
    """

    number: int
    client: int
    place: int
    member: str
    events: tuple[int, ...]
    """The indexes of the events of the invocation and completion, and of the read that the client
    sent before."""
    call: int
    end: int
    """The time at which the client got the answer, or stopped waiting for it. Equal to `call` if
    this time is unknown."""


def sent_operations(schedule: Schedule, history: History) -> list[SentOperation]:
    """Return the operations of `schedule` that were sent in a run, in the order of their begins.

    `history` is the history of the run. Before some operations, the client reads the keys on which
    the operation depends. Such a read is called a look. The events of a look, or of a login, belong
    to the operation that follows. The final writes and reads are left out, because they are not in
    the schedule.
    """
    clients = [_Client(number, schedule) for number in range(len(schedule.clients))]
    if not clients:
        return []
    recorded: list[Operation | ServiceOperation] = [*history.operations, *history.services]
    found = []
    for one in sorted(recorded, key=lambda operation: operation.call):
        if one.f not in FINAL_FUNCTIONS:
            sent = clients[one.process % len(clients)].sent(one)
            found += [sent] if sent else []
    return found


class _Client:
    """A client's operations in the schedule, and how many of them were found in the history."""

    def __init__(self, client: int, schedule: Schedule) -> None:
        self._client = client
        self._operations = schedule.clients[client].operations
        self._numbers = schedule.operation_numbers()[client]
        self._place = 0
        self._succeeded = LastSeen().succeeded
        self._look: tuple[int, ...] = ()

    def sent(self, one: Operation | ServiceOperation) -> SentOperation | None:
        """Return the operation of the schedule that the recorded operation `one` belongs to.

        Must be called with each recorded operation of the client's load, in order. Returns None if
        `one` is a look (a read before the operation) or a login, or if the schedule has no more
        operations of this client.
        """
        events = tuple(index for index in (one.invoked, one.returned) if index is not None)
        while not self._look and self._skipped():
            self._place += 1
        place = self._place
        if place >= len(self._operations):
            return None
        self._succeeded = one.outcome == "ok"
        if one.f == LOG_IN:
            # After a login that failed, the operation was sent only if no login was necessary.
            self._look = events
            if not self._succeeded and DISABLED not in (one.error or ""):
                self._look = ()
                self._place += 1
            return None
        if one.f == LOOK:
            self._look = events if self._succeeded else ()
            self._place += not self._succeeded
            return None
        events, self._look = self._look + events, ()
        self._place += 1
        return SentOperation(
            number=self._numbers[place], client=self._client, place=place, member=one.node or "",
            events=events, call=one.call, end=one.ended or one.ret or one.call,
        )

    def _skipped(self) -> bool:
        """Return whether the client left out its next operation, because the last one failed."""
        place = self._place
        return (
            place < len(self._operations) and self._operations[place].after_ok
            and not self._succeeded
        )
