"""A plan: everything that chance decides, drawn before the run, as a value.

Stored as `plan.json`; `replay` reads it and draws nothing.
"""

from __future__ import annotations

import msgspec

from histories.kv import Request
from nemesis.fault import PlannedFault


class PlannedOperation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The next operation of a client: wait `think_us` after the last one, then send
    `request` to member number `member` (an index into the plan's members, or the
    follower of that number at that moment when `to_follower`)."""

    think_us: int
    f: str
    request: Request
    member: int
    to_follower: bool = False


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
