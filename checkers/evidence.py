"""What a run leaves for its checkers to judge.

A checker is a pure function `Evidence -> Verdict`: it never talks to a member. What
a run could not gather is empty here, and a checker that needs it answers with
`valid=None` and says what was missing: unknown is never a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from splitbrain.checkers.budget_limits import Limit
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.history import History
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.trace import TraceEvent
from splitbrain.histories.watch import WatchStream


@dataclass(frozen=True, slots=True)
class Evidence:
    """One run as its checkers see it.

    `members` are in the order of the plan, each with its `error` if it could not be
    asked, and empty when a bare history is judged. `traces` is by member's name, and
    empty for systems that trace nothing. `system` and `workload` are names, for
    messages. `availability_bound_ms` is how long after the last fault healed the
    cluster may take to answer again.
    """

    history: History
    members: tuple[MemberState, ...] = ()
    traces: Mapping[str, Sequence[TraceEvent]] = field(default_factory=dict)
    availability_bound_ms: int = 10_000
    search_limit_s: float = 60.0
    """How long a checker that searches may do so before it answers `valid=None`."""
    system: str = ""
    workload: str = ""
    watches: Sequence[WatchStream] = ()
    """What watchers asked for and were sent; empty for runs that watch nothing."""
    consistency: str = "strict-serializable"
    """What `transactions` asks for: a name of `splitbrain.checkers.transactions.MODELS`."""
    budget: tuple[Limit, ...] = ()
    """What the run may cost, for the checker `budget`; empty: no limit."""


Checker = Callable[[Evidence], Verdict]
"""`splitbrain.checkers.catalogue.CHECKERS` maps each name to one, in the order of a report."""
