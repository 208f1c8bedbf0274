"""Draws the anomalies that `splitbrain check` found, in a run or in a history file.

The operations of each anomaly are first reduced to the shortest history that still shows it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from splitbrain.checkers.evidence import Checker, Evidence
from splitbrain.checkers.minimise.minimal_history import shortest_history
from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.judging.history_file import FileResult
from splitbrain.harness.judging.judge import read_evidence
from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.report.anomaly.anomaly_order import each_kind_first
from splitbrain.harness.report.anomaly.page import DRAWN_MAX, Found, write_pictures
from splitbrain.harness.report.foreign_operation_spans import spans_of, spans_of_transactions
from splitbrain.harness.report.operation_spans import pair
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.history import History

SHORTENING_S_MAX = 10.0
"""The time limit in s of the search for shorter histories, for all anomalies together."""
OPERATIONS_TO_SHORTEN_MIN = 4
"""If an anomaly names fewer operations than this, it is drawn without a search for a shorter
history."""


def draw_run(result: RunResult, path: Path) -> Path | None:
    """Draw the anomalies of a judged run to the HTML page `path`, and return `path`.

    If the run has no anomaly, the function writes nothing and returns None. Raises BadArguments if
    `path` cannot be written.
    """
    folder = RunFolder(result.folder)
    record = folder.read_record()
    evidence = read_evidence(folder, record)
    return _draw_own(result.results.verdicts, evidence, path, [m.name for m in record.members])


def draw_file(result: FileResult, path: Path) -> Path | None:
    """Draw the anomalies of a judged history file to the HTML page `path`, and return `path`.

    If the file has no anomaly, the function writes nothing and returns None. Raises BadArguments if
    `path` cannot be written.
    """
    file = result.file
    if file.history is not None:
        return _draw_own(
            result.verdicts, Evidence(file.history, file.members), path,
            [member.member for member in file.members],
        )
    transactions = spans_of_transactions(file.transactions)
    found = [
        Found(checker, anomaly, transactions or spans_of(_on_same_keys(anomaly, file.foreign)))
        for checker, anomaly in _anomalies(result.verdicts)
    ]
    return _write(path, found, History.of(()), (), f"{file.form} · {file.model}")


def _on_same_keys(
    anomaly: Anomaly, operations: Sequence[ForeignOperation]
) -> list[ForeignOperation]:
    """Return the operations that use a key of any operation that `anomaly` names."""
    named = set(anomaly.events)
    keys = {op.key: None for op in operations if op.call in named or op.ended in named}
    return [op for op in operations if op.key in keys]


def _draw_own(
    verdicts: Sequence[Verdict], evidence: Evidence, path: Path, members: Sequence[str]
) -> Path | None:
    spans, _ = pair(evidence.history.events)
    deadline = time.monotonic() + SHORTENING_S_MAX
    found = [
        Found(checker, _shortened(checker, anomaly, evidence, deadline), spans)
        for checker, anomaly in _anomalies(verdicts)
    ]
    return _write(path, found, evidence.history, members, evidence.workload)


def _anomalies(verdicts: Sequence[Verdict]) -> list[tuple[str, Anomaly]]:
    """Return the first `DRAWN_MAX` anomalies, each with the name of its checker.

    The order is that of `each_kind_first`: one anomaly of each checker and kind, then the next.
    """
    found = [(verdict.checker, one) for verdict in verdicts for one in verdict.anomalies]
    return each_kind_first(found)[:DRAWN_MAX]


def _shortened(name: str, anomaly: Anomaly, evidence: Evidence, deadline: float) -> Anomaly:
    """Return `anomaly` with the events of the shortest history in which its checker still finds it.

    `name` is the name of the checker. `anomaly` is returned unchanged in three cases:

    - It names few operations.
    - Its detail contains "stuck", an operation that fits into no order of the others. Such a detail
      is already a complete proof.
    - The monotonic time `deadline` has passed.
    """
    from splitbrain.checkers.catalogue import CHECKERS

    checker: Checker | None = CHECKERS.get(name)
    is_short = len(anomaly.events) < 2 * OPERATIONS_TO_SHORTEN_MIN - 1
    is_whole = "stuck" in anomaly.detail
    if checker is None or is_short or is_whole or time.monotonic() > deadline:
        return anomaly
    kept = shortest_history(evidence, checker, anomaly, deadline)
    events = sorted({at for op in kept for at in (op.invoked, op.returned) if at is not None})
    return msgspec.structs.replace(anomaly, events=tuple(events)) if events else anomaly


def _write(
    path: Path, found: Sequence[Found], history: History, members: Sequence[str], title: str
) -> Path | None:
    if not found:
        return None
    try:
        return write_pictures(path, found, history.faults, members, title)
    except OSError as problem:
        raise BadArguments(f"{path} cannot be written: {problem.strerror}") from problem
