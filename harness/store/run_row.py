"""Converts a run to one row of the database, with the values by which runs are searched.

A row is derived only from the files in the folder of the run. The database can therefore always be
rebuilt from the folders.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from splitbrain.harness.store.lenient_records import (
    ResultFacts,
    RunFacts,
    read_result_facts,
    read_run_facts,
)
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.store.versions import COMMIT

BECAUSE_CHARACTERS_MAX = 500
_FOLDER_TIME = "%Y%m%dT%H%M%SZ"


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A run as a row of the database.

    If the run did not record a value, a text is "" and a number is None.
    """

    key: str
    """The identity of the run in its store: its folder, or its campaign and number."""
    folder: str = ""
    """The path of the folder relative to the store; "" if the folder was not kept."""
    campaign: str = ""
    number: int = 0
    """The number of the run in its campaign, from 1."""
    group: str = ""
    """The name of the group of failures that the run belongs to."""
    started: int
    """The time of the start, in s since 1970."""
    test: str = ""
    system: str = ""
    workload: str = ""
    mutant: str = ""
    nemesis: tuple[str, ...] = ()
    members: int = 0
    seed: int | None = None
    valid: bool | None = None
    ended: str = ""
    error: str = ""
    load_s: float = 0.0
    rate: float | None = None
    """The number of answered operations per second of load."""
    p50_ms: float | None = None
    """The median latency of the function that was answered most often."""
    p99_ms: float | None = None
    ok: int = 0
    fail: int = 0
    info: int = 0
    anomalies: int = 0
    checker: str = ""
    """The first checker that found an anomaly, or whose verdict is unknown."""
    kind: str = ""
    """The kind of the first anomaly."""
    because: str = ""
    """The sentence of the first anomaly, or the reason why the run is unknown."""
    version: str = ""
    """The version of the system under test."""
    commit: str = ""
    """The commit of the project in whose folder the run was started."""
    reproduce: str = ""

    @property
    def verdict(self) -> str:
        return "valid" if self.valid else "invalid" if self.valid is False else "unknown"


def row_of_folder(store: Path, folder: Path) -> RunRow:
    """Return the row of the run in `folder`.

    Damaged files raise no exception; their values are empty in the row.
    """
    key = folder.relative_to(store).as_posix()
    files = RunFolder(folder)
    facts = read_run_facts(files)[0] or RunFacts()
    started = _named_time(folder.name) or _recorded_time(facts) or int(folder.stat().st_mtime)
    results = read_result_facts(files)[0] or ResultFacts()
    test = facts.test or folder.parent.name
    return msgspec.structs.replace(
        row_of(key, facts, results), folder=key, started=started, test=test
    )


def row_of(key: str, facts: RunFacts, results: ResultFacts) -> RunRow:
    """Return the row of a run with the record `facts` and the results `results`.

    `key` identifies the run in the database.
    """
    counts = results.operations.get("all", {})
    p50_ms, p99_ms = _latency(results)
    checker, kind, because = first_finding(facts, results)
    return RunRow(
        key=key, started=_recorded_time(facts), test=facts.test,
        system=facts.system, workload=facts.workload,
        mutant=facts.mutant, nemesis=_kinds(facts), members=len(facts.members), seed=facts.seed,
        valid=results.valid, ended=facts.ended, error=facts.error or results.error,
        load_s=results.load_s, rate=results.rate if results.load_s else None,
        p50_ms=p50_ms, p99_ms=p99_ms,
        ok=counts.get("ok", 0), fail=counts.get("fail", 0), info=counts.get("info", 0),
        anomalies=sum(verdict.anomaly_count for verdict in results.verdicts),
        checker=checker, kind=kind, because=because,
        version=system_version(facts.system, facts.versions),
        commit=facts.versions.get(COMMIT, ""), reproduce=results.reproduce,
    )


def first_finding(facts: RunFacts, results: ResultFacts) -> tuple[str, str, str]:
    """Return the checker, the kind and the sentence of the first anomaly.

    If the run has no anomaly but failed or is unknown, the sentence is the reason, and the kind is
    "". For a valid run, all three are "".
    """
    if results.anomalies:
        checker, anomaly = results.anomalies[0]
        return checker, anomaly.kind, _short(anomaly.because)
    error = facts.error or results.error
    if error:
        return "", "", _short(f"the run failed: {error}")
    for verdict in results.verdicts:
        if verdict.valid is None:
            return verdict.checker, "", _short(verdict.why or "unknown")
    return "", "", ""


def system_version(system: str, versions: dict[str, str]) -> str:
    """Return the version of the system under test.

    `versions` are the versions in the record of a run. If they have no entry `system`, the version
    is that of Splitbrain.
    """
    return versions.get(system) or versions.get("splitbrain", "")


def _short(text: str) -> str:
    plain = " ".join(text.split())
    too_long = len(plain) > BECAUSE_CHARACTERS_MAX
    return plain[: BECAUSE_CHARACTERS_MAX - 1] + "…" if too_long else plain


def _kinds(facts: RunFacts) -> tuple[str, ...]:
    named = facts.options.get("nemesis", ())
    return tuple(str(one) for one in named) if isinstance(named, list | tuple) else (str(named),)


def _named_time(name: str) -> int:
    """Return the start of a run, in s since 1970, according to the name of its folder.

    Returns 0 if the name has another form.
    """
    try:
        named = datetime.strptime(name.split("-")[0], _FOLDER_TIME).replace(tzinfo=UTC)
    except ValueError:
        return 0
    return int(named.timestamp())


def _recorded_time(facts: RunFacts) -> int:
    try:
        recorded = datetime.fromisoformat(facts.started)
    except ValueError:
        return 0
    return int(recorded.replace(tzinfo=recorded.tzinfo or UTC).timestamp())


def _latency(results: ResultFacts) -> tuple[float | None, float | None]:
    """Return the median and the 99th percentile of latencies, in ms.

    Both are latencies of one function: the function with the most answers. Returns (None, None) if
    the run has no statistics.
    """
    rows = [
        row for verdict in results.verdicts if verdict.checker == "statistics"
        for name, row in verdict.counts.items() if name.endswith(" ok") and isinstance(row, dict)
    ]
    if not rows:
        return None, None
    most = max(rows, key=lambda row: row.get("count", 0))
    return most.get("p50 ms"), most.get("p99 ms")
