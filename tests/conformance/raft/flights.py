"""Contains the messages in flight between the nodes of an interaction test, and their threads."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.node.raft.async_storage import StorageAppend, StorageApply
from splitbrain.node.raft.message import MemberId, Message
from tests.conformance.raft import description as describe
from tests.conformance.raft.node import Flight


def flight_of(message: Message) -> Flight:
    lines = tuple(describe.message(message))
    kind = describe.MESSAGES[message.type]
    return Flight(message.to, kind, lines, message, local=message.from_ == message.to)


def append_flights(member: MemberId, work: StorageAppend) -> list[Flight]:
    """What the append thread of `member` delivers when `work` is durable."""
    flights = [flight_of(message) for message in work.responses]
    if work.response is not None:
        lines = tuple(describe.append_response(member, work.response))
        flights.append(Flight(member, "MsgStorageAppendResp", lines, work.response, local=True))
    return flights


def apply_flight(member: MemberId, work: StorageApply) -> Flight:
    """What the apply thread of `member` delivers when `work` is applied."""
    lines = tuple(describe.apply_response(member, work))
    return Flight(member, "MsgStorageApplyResp", lines, work, local=True)


def split(
    flights: Sequence[Flight], to: MemberId, kind: str, *, drop: bool
) -> tuple[list[Flight], list[Flight]]:
    """Separate the messages to `to` of the type `kind` ("" means all) from the others.

    Local messages cannot be dropped.
    """
    taken: list[Flight] = []
    others: list[Flight] = []
    for flight in flights:
        wanted = flight.to == to and kind in ("", flight.kind) and not (drop and flight.local)
        (taken if wanted else others).append(flight)
    return taken, others
