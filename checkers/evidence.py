"""Defines the evidence of one run: everything that the checkers judge.

A checker is a pure function `Evidence -> Verdict`. It never talks to a member. A field is empty if
the run could not collect it. If a checker needs an empty field, its verdict is unknown
(`valid=None`) and names the missing evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from splitbrain.checkers.budget_limits import Limit
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.history import History
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.trace import TraceEvent
from splitbrain.histories.watch import WatchStream


@dataclass(frozen=True, slots=True)
class Evidence:
    """The history of one run, the final states of its members, and their traces."""

    history: History
    members: tuple[MemberState, ...] = ()
    """The final states of the members, in the order of the schedule. If the state of a member could
    not be read, it contains an `error`. Empty if only a history file is judged."""
    traces: Mapping[str, Sequence[TraceEvent]] = field(default_factory=dict)
    """The trace of each member, by its name. Empty for systems without traces."""
    availability_bound_ms: int = 10_000
    """The time within which a member must answer while no fault is active. The cluster must also
    answer within this time after the last fault is healed."""
    serving: tuple[str, ...] = ()
    """The members that must answer a write and a linearizable read at the end. Empty if only a
    history file is judged."""
    excused: tuple[str, ...] = ()
    """The members that may stop serving because of a fault, such as one whose disk lost data."""
    stalls: Sequence[tuple[int, int]] = ()
    """The periods (begin, end), in ns, in which the harness was stalled: its process did not run
    although it had work to do."""
    search_limit_s: float = 60.0
    """The time limit of each search, in s. A search that reaches it gives `valid=None`."""
    system: str = ""
    """The name of the system under test, for messages."""
    workload: str = ""
    """The name of the workload, for messages."""
    watches: Sequence[WatchStream] = ()
    """The requests of the watchers and the events that they received. Empty for runs without
    watchers."""
    consistency: str = "strict-serializable"
    """The consistency model that `transactions` checks: a name in
    `splitbrain.checkers.transactions.MODELS`."""
    budget: tuple[Limit, ...] = ()
    """The limits that the checker `budget` checks. Empty: no limits."""
    watch_progress_ms: int = 0
    """The interval in ms at which members notify idle watchers of their progress. 0: unknown."""
    lease_checkpoint_s: int = 0
    """The interval in s at which a leader records the remaining time of each lease that is longer
    than the interval. 0: the store makes no such records, or the interval is unknown."""
    lease_checkpoints_persist: bool = False
    """True if these records survive a restart of the member."""
    settings: Mapping[str, int | bool] = field(default_factory=dict)
    """The members' settings in the schedule, such as `backend_quota_bytes`."""
    log: Sequence[ForeignOperation] = ()
    """The operations of a run with a user's client, with plain values. In such a run, `history`
    contains only the times and outcomes of the operations. Empty in other runs."""
    initial: Any = None
    """The state in which the objects of `log` begin. None: the default of the checker."""


Checker = Callable[[Evidence], Verdict]
"""A checker. `splitbrain.checkers.catalogue.CHECKERS` lists all of them by name."""
