"""Reads what the checkers judge in a run with a client of the user.

The requests and answers of such a run are plain values, which the checkers of other tools'
histories judge.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers.budget_limits import read_limits
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.foreign.timing import timed_history
from splitbrain.checkers.transactions import DEFAULT
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.store.records import RunRecord
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.workloads.workload_of_run import workload_of
from splitbrain.histories.event import NEMESIS
from splitbrain.histories.fault_window import fault_windows
from splitbrain.histories.formats.foreign_operation import (
    ForeignOperation,
    by_key,
    pair_operations,
)
from splitbrain.histories.formats.json_lines import read_json_lines
from splitbrain.histories.history import History, read_events


def read_log_evidence(folder: RunFolder, record: RunRecord) -> Evidence:
    """Read everything that the checkers judge from the folder of a run with a client of the user.

    Raises HistoryError if the history cannot be read.
    """
    options = record.options
    workload = workload_of(options)
    log = read_log(folder, keyed=bool(getattr(workload, "keyed", False)))
    of_nemesis = [one for one in read_events(folder.history) if one.process == NEMESIS]
    timed = timed_history(log)
    return Evidence(
        history=History((), timed.operations, tuple(fault_windows(of_nemesis))),
        log=log,
        initial=getattr(workload, "initial", None),
        consistency=getattr(workload, "consistency", DEFAULT),
        stalls=tuple((one.begin, one.end) for one in record.stalls),
        search_limit_s=options.search_limit_s,
        system=options.system,
        workload=options.workload,
        budget=read_limits(options.budget),
    )


def read_log(folder: RunFolder, *, keyed: bool) -> Sequence[ForeignOperation]:
    """Read the operations in the history of `folder`.

    With `keyed`, every value must be a pair [key, value]; the key is moved to
    `ForeignOperation.key`. Raises BadArguments if a value is not a pair.
    """
    operations = pair_operations(read_json_lines(folder.history), str(folder.history))
    if not keyed:
        return operations
    for op in operations:
        if not (isinstance(op.argument, list) and len(op.argument) == 2):
            raise BadArguments(
                f"event {op.call}: the workload is keyed, and {op.f} has the value "
                f"{op.argument!r:.100}; expected [key, value]"
            )
    return by_key(operations)
