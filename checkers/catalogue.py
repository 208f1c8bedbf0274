"""Lists all checkers by name, in the order of the report, and runs them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec

from splitbrain.checkers.auth.checker import check_auth
from splitbrain.checkers.coordination.election import check_election
from splitbrain.checkers.coordination.lease import check_lease
from splitbrain.checkers.coordination.lock import check_fencing, check_mutual_exclusion
from splitbrain.checkers.evidence import Checker, Evidence
from splitbrain.checkers.headers import check_headers
from splitbrain.checkers.limits.checker import check_limits
from splitbrain.checkers.linearizable.checker import check_linearizable
from splitbrain.checkers.membership.member_lists import check_members
from splitbrain.checkers.mvcc.checker import check_mvcc
from splitbrain.checkers.mvcc.saved_snapshot import check_snapshots
from splitbrain.checkers.objects.counter import check_counter
from splitbrain.checkers.objects.queue import check_queue
from splitbrain.checkers.objects.set_full import check_set_full
from splitbrain.checkers.objects.unique_ids import check_unique_ids
from splitbrain.checkers.service_level.availability import check_availability
from splitbrain.checkers.service_level.budget import check_budget
from splitbrain.checkers.service_level.statistics import check_statistics
from splitbrain.checkers.traces.raft_safety import check_raft_safety
from splitbrain.checkers.traces.write_path import check_write_path
from splitbrain.checkers.transactions.checker import check_history
from splitbrain.checkers.verdict import Verdict, grouped
from splitbrain.checkers.watch.checker import check_watch

CHECKERS: Mapping[str, Checker] = {
    "mvcc": check_mvcc,
    "headers": check_headers,
    "write_path": check_write_path,
    "raft_safety": check_raft_safety,
    "members": check_members,
    "linearizable": check_linearizable,
    "set_full": check_set_full,
    "counter": check_counter,
    "unique_ids": check_unique_ids,
    "queue": check_queue,
    "transactions": check_history,
    "watch": check_watch,
    "lease": check_lease,
    "fencing": check_fencing,
    "mutual_exclusion": check_mutual_exclusion,
    "election": check_election,
    "auth": check_auth,
    "limits": check_limits,
    "snapshot": check_snapshots,
    "availability": check_availability,
    "statistics": check_statistics,
    "budget": check_budget,
}


def describe(name: str) -> str:
    """Return the first line of the docstring of the checker `name`, as its description."""
    return (CHECKERS[name].__doc__ or "").strip().partition("\n")[0]


def judge(evidence: Evidence, names: Sequence[str] = ()) -> tuple[Verdict, ...]:
    """Return the verdicts of the checkers `names`, or of all checkers if `names` is empty.

    If a checker raises an exception, its verdict is unknown and contains the error. An unknown
    name raises KeyError.
    """
    return tuple(_run(name, CHECKERS[name], evidence) for name in names or CHECKERS)


def _run(name: str, checker: Checker, evidence: Evidence) -> Verdict:
    start = time.perf_counter()
    try:
        verdict = checker(evidence)
    except MemoryError:
        verdict = Verdict(name, None, why="the checker ran out of memory")
    except Exception as error:
        why = f"the checker failed: {type(error).__name__}: {error}"
        verdict = Verdict(name, None, why=why)
    seconds = round(time.perf_counter() - start, 3)
    return msgspec.structs.replace(grouped(verdict), checker=name, seconds=seconds)
