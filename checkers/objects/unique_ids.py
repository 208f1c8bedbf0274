"""`unique_ids`: no two operations get the same id, and revisions increase along real time.

If a history contains writes with the function `generate`, the ids are the revisions that these
writes made. Otherwise the ids are the revisions of all acknowledged writes. In the histories of
other tools, which have no revisions, the ids are the answers to `generate`.

    duplicated  Two acknowledged operations got the same id.
    stale       An operation got a lower revision than an operation that returned before its
                invocation (only if the ids are revisions).

The checker reads only the ids. Cost: n log n.

Source: Jepsen's checker `unique-ids`; for revisions, etcd's API guarantees.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answer_facts import made_revision
from splitbrain.checkers.verdict import Verdict, not_applicable
from splitbrain.histories.history import Operation

NAME = "unique_ids"
GENERATE = "generate"


def check_unique_ids(evidence: Evidence) -> Verdict:
    """No two acknowledged writes have the same revision, and revisions increase along real time.

    The checker applies only to histories in which acknowledged writes have revisions.
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
        return not_applicable(NAME, "no acknowledged write has a revision")
    findings = Findings()
    each_once("revision", given, findings)
    _check_increasing(given, findings)
    return verdict_of(findings, len(given), len(generated or given))


def verdict_of(findings: Findings, ids: int, attempts: int) -> Verdict:
    """Return the verdict of the checker from its findings.

    `attempts` operations asked for an id, and `ids` of them got one. The verdict is unknown if no
    operation got an id.
    """
    counts = {"ids": ids, "attempts": attempts, "anomalies": findings.count}
    if not ids:
        return Verdict(NAME, None, counts=counts, why="no operation was given an id")
    return Verdict(
        NAME, not findings.count, tuple(findings.anomalies), counts, kinds=findings.by_kind
    )


def each_once(
    what: str, given: Iterable[tuple[Hashable, Operation]], findings: Findings
) -> None:
    """Report each operation that got the same id as an earlier operation.

    `given` contains pairs (id, operation). `what` is the word for the ids in messages, such as
    "revision".
    """
    first: dict[Hashable, Operation] = {}
    for name, op in given:
        earlier = first.setdefault(name, op)
        if earlier is not op:
            findings.add(
                "duplicated",
                f"{what} {name} was given to {wording.operation(earlier)} at "
                f"{wording.seconds(earlier.ret or 0)} and to {wording.operation(op)} at "
                f"{wording.seconds(op.ret or 0)}",
                earlier, op,
            )


def _check_increasing(numbers: list[tuple[int, Operation]], findings: Findings) -> None:
    """Check that no operation got a lower number than an operation that returned before it began.

    `numbers` contains pairs (number, operation). The numbers are the revisions that the operations
    made.
    """
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
                f"{wording.operation(op)}, invoked at {wording.seconds(op.call)}, was given "
                f"revision {number}; {wording.operation(highest[1])} had been given {highest[0]} "
                f"at {wording.seconds(highest[1].ret or 0)}",
                highest[1], op, revision=number,
            )
