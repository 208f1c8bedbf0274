"""Draws the anomalies of a judged run or file, each with the shortest history that shows it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from splitbrain.checkers.evidence import Checker, Evidence
from splitbrain.checkers.minimise.history_part import shortest_history
from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.judging.history_file import FileResult
from splitbrain.harness.judging.judge import read_evidence
from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.report.anomaly.anomaly_order import each_kind_first
from splitbrain.harness.report.anomaly.page import DRAWN_MAX, Found, write_pictures
from splitbrain.harness.report.foreign_spans import spans_of, spans_of_transactions
from splitbrain.harness.report.spans import pair
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.history import History

SHORTENING_S_MAX = 10.0
"""The time limit of the search for shorter histories, for all anomalies together."""
OPERATIONS_TO_SHORTEN_MIN = 4
"""A proof of fewer operations is drawn without a search for a shorter one."""


def draw_run(result: RunResult, path: Path) -> Path | None:
    """Draw the anomalies of a judged run to the page `path`, and return `path`.

    If there is no anomaly, nothing is written, and None is returned. Raises BadArguments if `path`
    cannot be written.
    """
    folder = RunFolder(result.folder)
    record = folder.read_record()
    evidence = read_evidence(folder, record)
    return _draw_own(result.results.verdicts, evidence, path, [m.name for m in record.members])


def draw_file(result: FileResult, path: Path) -> Path | None:
    """Draw the anomalies of a judged history file to the page `path`, and return `path`.

    If there is no anomaly, nothing is written, and None is returned. Raises BadArguments if `path`
    cannot be written.
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
    """The operations that touch any key of the operations that the anomaly names."""
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
    """The anomalies that are drawn, in an order in which each checker and kind has its turn."""
    found = [(verdict.checker, one) for verdict in verdicts for one in verdict.anomalies]
    return each_kind_first(found)[:DRAWN_MAX]


def _shortened(name: str, anomaly: Anomaly, evidence: Evidence, deadline: float) -> Anomaly:
    """Replace the events of `anomaly` by those of the shortest part of the history that shows it.

    Returns `anomaly` unchanged if its events are few, if it names an operation that fits into no
    order of the others (its events are then a complete proof), or if the monotonic time `deadline`
    has passed.
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
