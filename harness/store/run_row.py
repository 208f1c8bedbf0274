"""A run as one row of the database: what is searched, sorted and counted.

The row of a run is derived from the files in its folder. The database can therefore always be
rebuilt from the folders.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from splitbrain.harness.store.facts import ResultFacts, RunFacts, read_result_facts, read_run_facts
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.store.versions import COMMIT

BECAUSE_CHARACTERS_MAX = 500
_FOLDER_TIME = "%Y%m%dT%H%M%SZ"


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Texts are empty, and numbers None, if the run did not record them."""

    key: str
    """Identifies the run in its store: its folder, or its campaign and number."""
    folder: str = ""
    """The folder relative to the store; "" if the folder was not kept."""
    campaign: str = ""
    number: int = 0
    """The number of the run in its campaign, from 1."""
    group: str = ""
    """The name of the group of failures that the run belongs to."""
    started: int
    """Seconds since 1970, UTC."""
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
    """Answered operations per second of load."""
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
    """The first anomaly, or the reason why the run is unknown."""
    version: str = ""
    """The version of the system under test."""
    commit: str = ""
    """The commit of the project in whose folder the run was started."""
    reproduce: str = ""

    @property
    def verdict(self) -> str:
        return "valid" if self.valid else "invalid" if self.valid is False else "unknown"


def row_of_folder(store: Path, folder: Path) -> RunRow:
    """The row of the run in `folder`. Never raises for damaged files: their fields are empty."""
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
    """The row of a run with the record `facts` and the results `results`."""
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
    """Checker, kind and sentence of the first anomaly, or why the run is unknown; else ""."""
    if results.anomalies:
        checker, anomaly = results.anomalies[0]
        return checker, anomaly.kind, _short(anomaly.because)
    error = facts.error or results.error
    if error:
        return "", "", _short(f"the run broke off: {error}")
    for verdict in results.verdicts:
        if verdict.valid is None:
            return verdict.checker, "", _short(verdict.why or "unknown")
    return "", "", ""


def system_version(system: str, versions: dict[str, str]) -> str:
    """The version of the system under test: that of the entry with its name, or of Splitbrain."""
    return versions.get(system) or versions.get("splitbrain", "")


def _short(text: str) -> str:
    plain = " ".join(text.split())
    too_long = len(plain) > BECAUSE_CHARACTERS_MAX
    return plain[: BECAUSE_CHARACTERS_MAX - 1] + "…" if too_long else plain


def _kinds(facts: RunFacts) -> tuple[str, ...]:
    named = facts.options.get("nemesis", ())
    return tuple(str(one) for one in named) if isinstance(named, list | tuple) else (str(named),)


def _named_time(name: str) -> int:
    """The start of a run by the name of its folder; 0 if the name has another form."""
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
    """Median and 99th percentile of the function that was answered most often, in ms."""
    rows = [
        row for verdict in results.verdicts if verdict.checker == "statistics"
        for name, row in verdict.counts.items() if name.endswith(" ok") and isinstance(row, dict)
    ]
    if not rows:
        return None, None
    most = max(rows, key=lambda row: row.get("count", 0))
    return most.get("p50 ms"), most.get("p99 ms")
