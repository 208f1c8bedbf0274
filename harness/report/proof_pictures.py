"""Pictures of what was found wrong, each with the shortest part of the history that shows it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from splitbrain.checkers.evidence import Checker, Evidence
from splitbrain.checkers.minimise.history_part import shortest_history
from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.judging.history_file import Checked
from splitbrain.harness.judging.judge import read_evidence
from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.report.logged_spans import spans_of, spans_of_transactions
from splitbrain.harness.report.picture import DRAWN_MAX, Found, write_pictures
from splitbrain.harness.report.spans import pair
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.history import History

SHORTENING_S_MAX = 10.0
"""For all anomalies together."""
ALREADY_SHORT = 3
"""A proof of so few operations is drawn as it stands."""


def draw_run(result: RunResult, path: Path) -> Path | None:
    """The anomalies of a judged run's folder into the page `path`; None if it has none."""
    folder = RunFolder(result.folder)
    record = folder.read_record()
    evidence = read_evidence(folder, record)
    return _draw_own(result.results.verdicts, evidence, path, [m.name for m in record.members])


def draw_file(checked: Checked, path: Path) -> Path | None:
    """The anomalies of a judged file into the page `path`; None if it has none."""
    read = checked.recorded
    if read.history is not None:
        return _draw_own(
            checked.verdicts, Evidence(read.history, read.members), path,
            [member.member for member in read.members],
        )
    of_all = spans_of_transactions(read.transactions)
    found = [
        Found(checker, anomaly, of_all or spans_of(_about(anomaly, read.logged)))
        for checker, anomaly in _anomalies(checked.verdicts)
    ]
    return _write(path, found, History.of(()), (), f"{read.form} · {read.model}")


def _about(anomaly: Anomaly, logged: Sequence[ForeignOperation]) -> list[ForeignOperation]:
    """The operations on the keys that the anomaly names operations of."""
    named = set(anomaly.events)
    keys = {op.key: None for op in logged if op.call in named or op.ended in named}
    return [op for op in logged if op.key in keys]


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


def _anomalies(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, Anomaly]]:
    """A few of each checker, so that each that found something is drawn."""
    wrong = [verdict for verdict in verdicts if verdict.anomalies]
    each = max(1, DRAWN_MAX // max(1, len(wrong)))
    for verdict in wrong:
        for anomaly in verdict.anomalies[:each]:
            yield verdict.checker, anomaly


def _shortened(name: str, anomaly: Anomaly, evidence: Evidence, deadline: float) -> Anomaly:
    """`anomaly` with the events of the shortest part of the history that shows it."""
    from splitbrain.checkers.catalogue import CHECKERS

    checker: Checker | None = CHECKERS.get(name)
    if checker is None or len(anomaly.events) <= 2 * ALREADY_SHORT or time.monotonic() > deadline:
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
