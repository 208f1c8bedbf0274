"""`unique_ids`: no id is handed out twice, and ids that are counted go up.

Where a history has operations `generate`, which write something, the revision that each
of them made is its id. In all other histories the ids are the revisions of all
acknowledged writes: a store with revisions promises that each has one of its own. In
others' logs an id is what `generate` answered.

    duplicated  two acknowledged operations were given the same id
    stale       an operation was given a lower number than one that had been answered before
                it was asked (only where ids are revisions)

It looks at nothing but ids, in n log n.

Source: Jepsen's checker `unique-ids`; etcd's API guarantees, for revisions.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answers import made_revision
from splitbrain.checkers.verdict import Verdict, not_applicable
from splitbrain.histories.history import Operation

NAME = "unique_ids"
GENERATE = "generate"


def check_unique_ids(evidence: Evidence) -> Verdict:
    """No two acknowledged writes have one revision, and revisions go up along real time.

    To histories without writes or revisions it does not apply.
    """
    operations = evidence.history.operations
    generated = [op for op in operations if op.f == GENERATE]
    given = [
        (op.result.header.revision, op)
        for op in generated or operations
        if op.outcome == "ok" and op.result is not None and made_revision(op.result)
        and op.result.header.revision
    ]
    if not given and not generated:
        return not_applicable(NAME, "nothing was given a revision")
    findings = Findings()
    each_once("revision", given, findings)
    _going_up(given, findings)
    return verdict_of(findings, len(given), len(generated or given))


def verdict_of(findings: Findings, ids: int, attempts: int) -> Verdict:
    counts = {"ids": ids, "attempts": attempts, "anomalies": findings.count}
    if not ids:
        return Verdict(NAME, None, counts=counts, why="no operation was given an id")
    return Verdict(NAME, not findings.count, tuple(findings.anomalies), counts)


def each_once(
    what: str, given: Iterable[tuple[Hashable, Operation]], findings: Findings
) -> None:
    """Blame each operation that was given an id, of the kind `what`, that another has."""
    first: dict[Hashable, Operation] = {}
    for name, op in given:
        earlier = first.setdefault(name, op)
        if earlier is not op:
            findings.add(
                "duplicated",
                f"{what} {name} was given to {wording.operation(earlier)} by "
                f"{wording.seconds(earlier.ret or 0)} and to {wording.operation(op)} by "
                f"{wording.seconds(op.ret or 0)}",
                earlier, op,
            )


def _going_up(numbers: list[tuple[int, Operation]], findings: Findings) -> None:
    """A sweep by invocation, with the highest number that had been answered by then."""
    by_return = sorted(numbers, key=lambda one: one[1].returned or 0)
    place = 0
    highest: tuple[int, Operation] | None = None
    for number, op in sorted(numbers, key=lambda one: one[1].invoked):
        while place < len(by_return) and (by_return[place][1].returned or 0) < op.invoked:
            if highest is None or by_return[place][0] > highest[0]:
                highest = by_return[place]
            place += 1
        if highest is not None and number < highest[0]:
            findings.add(
                "stale",
                f"{wording.operation(op)}, asked at {wording.seconds(op.call)}, was given revision "
                f"{number}; {wording.operation(highest[1])} had been given {highest[0]} by "
                f"{wording.seconds(highest[1].ret or 0)}",
                highest[1], op, revision=number,
            )
