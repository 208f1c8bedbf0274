"""A plan: everything that chance decides, drawn before the run, as a value.

Stored as `plan.json`; `replay` reads it and draws nothing.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.watchers import WatcherPlan
from splitbrain.histories.service import AnyRequest
from splitbrain.nemesis.fault import PlannedFault

PLAN_FORMAT = 1
"""Raised when a plan changes its meaning; a plan of another format is refused."""


class PlannedOperation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The next operation of a client: begin it `think_us` after the one before began
    (at once if that one took longer), and send `request` to member number `member` (an
    index into the plan's members, or the follower of that number at that moment when
    `to_follower`).
    """

    think_us: int
    f: str
    request: AnyRequest
    member: int
    to_follower: bool = False
    expect_last_seen: tuple[int, ...] = ()
    """Which comparisons of the transaction `request`, by position, are sent with what
    this client last saw of their key instead of the planned operand."""
    after_ok: bool = False
    """It is left out unless this client's operation before it was answered with success, and
    so are those behind it of which the same is said."""
    revision_back: int = 0
    """A range is sent at this many revisions before the highest that this client saw."""
    append_to_seen: bool = False
    """Values that the transaction `request` puts are lists (`splitbrain.histories.list_value`),
    sent with
    what this client last saw of their key put before them. The keys that are compared are
    read first, by an operation `look` of its own; if that is not answered nothing follows."""


class ClientPlan(msgspec.Struct, frozen=True):
    """One client's operations, in order; when they run out, the client stops."""

    operations: tuple[PlannedOperation, ...]


class Plan(msgspec.Struct, frozen=True):
    seed: int
    members: tuple[str, ...]
    member_seeds: tuple[int, ...]
    """Each member's own seed (election jitter)."""
    clients: tuple[ClientPlan, ...]
    faults: tuple[PlannedFault, ...]
    time_limit_ms: int
    format: int = PLAN_FORMAT
    leader: str = ""
    """The member that the plan counts on to lead when the load begins: if another one
    does, the two change parts (`splitbrain.harness.schedule.leader_role`). "": it counts on
    nobody."""

    watchers: tuple[WatcherPlan, ...] = ()
    """What watches besides the clients, for workloads with watchers."""

    def order(self) -> tuple[tuple[int, ...], ...]:
        """The number of each client's operations: from 1 on, in the order in which they
        are to begin, a lower client first where two begin at once."""
        due = []
        for client, planned in enumerate(self.clients):
            at_us = 0
            for place, operation in enumerate(planned.operations):
                at_us += operation.think_us
                due.append((at_us, client, place))
        numbers = [[0] * len(client.operations) for client in self.clients]
        for number, (_, client, place) in enumerate(sorted(due), start=1):
            numbers[client][place] = number
        return tuple(tuple(one) for one in numbers)


class _Format(msgspec.Struct):
    format: int = 0


def write_plan(plan: Plan, path: Path) -> None:
    path.write_bytes(msgspec.json.encode(plan))


def read_plan(path: Path) -> Plan:
    """Raises BadArguments if there is none, or it is of another format than this Splitbrain's."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise BadArguments(f"no plan at {path}: {problem.strerror}") from problem
    try:
        found = msgspec.json.decode(data, type=_Format).format
        if found != PLAN_FORMAT:
            raise BadArguments(
                f"{path} is a plan of format {found}; this Splitbrain runs format {PLAN_FORMAT}. "
                "Replay it with the version that wrote it (repro.json names it)"
            )
        return msgspec.json.decode(data, type=Plan)
    except msgspec.MsgspecError as problem:
        raise BadArguments(f"{path} is not a plan: {problem}") from problem
