"""Why nobody can have made what a revision holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from splitbrain.checkers import wording
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answers import revision_of
from splitbrain.checkers.model.uncertain_writes import WriteIndex
from splitbrain.checkers.mvcc.revision_order import Answers
from splitbrain.histories.history import Operation
from splitbrain.histories.member_state import Change


class Blame:
    """Blames the operations that name a change, or, if none does, the store."""

    def __init__(
        self, operations: Sequence[Operation], answers: Answers, findings: Findings
    ) -> None:
        self._operations = operations
        self._answers = answers
        self._findings = findings
        self._every_operation: WriteIndex | None = None

    def nobody_made(
        self, revision: int, changes: Sequence[Change], used: Mapping[int, int]
    ) -> None:
        """`used`: which revision each uncertain write (by its invocation) is taken to have made."""
        told = f"revision {revision} holds {wording.changes(changes)}"
        if self._every_operation is None:
            self._every_operation = WriteIndex(self._operations)
        makers = self._every_operation.makers(changes)
        if len(makers) > 1 and all(change.kind == "delete" for change in changes):
            makers = []  # without a value it is not said whose it is
        for why in (self._failed, self._twice, self._uncertain):
            if why(revision, told, makers, used):
                return
        self._findings.add(
            "phantom write", f"{told}, which no operation is left to have made", revision=revision
        )

    def _failed(
        self, revision: int, told: str, makers: list[Operation], used: Mapping[int, int]
    ) -> bool:
        for op in makers:
            if op.outcome == "fail":
                self._findings.add(
                    "failed write present",
                    f"{told}, which is {wording.operation(op)}; that failed at "
                    f"{wording.seconds(op.ret or 0)}: {op.error or 'refused'}",
                    op, revision=revision,
                )
                return True
        return False

    def _twice(
        self, revision: int, told: str, makers: list[Operation], used: Mapping[int, int]
    ) -> bool:
        for op in makers:
            other = revision_of(op) if op.outcome == "ok" else used.get(op.invoked)
            if other is not None and other != revision:
                self._findings.add(
                    "applied twice",
                    f"{told}, which is {wording.operation(op)}; that already made revision {other}",
                    op, revision=revision,
                )
                return True
        return False

    def _uncertain(
        self, revision: int, told: str, makers: list[Operation], used: Mapping[int, int]
    ) -> bool:
        deadline = self._answers.deadline(revision)
        for op in makers:
            if op.outcome != "info":
                continue
            if deadline is not None and op.invoked > deadline:
                self._findings.add(
                    "write before its invocation",
                    f"{told}, which is {wording.operation(op)}, invoked only at "
                    f"{wording.seconds(op.call)}; by then it had been seen",
                    op, *self._answers.first_to_see(revision), revision=revision,
                )
            else:
                self._findings.add(
                    "wrong effect",
                    f"{told}; {wording.operation(op)} ({op.error or 'unanswered'}) names it, but "
                    "would have made something else at that point",
                    op, revision=revision,
                )
            return True
        return False


