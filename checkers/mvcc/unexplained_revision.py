"""Explains a revision that no operation in the history can have produced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from splitbrain.checkers import wording
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answer_facts import revision_of
from splitbrain.checkers.mvcc.revision_order import Answers
from splitbrain.checkers.mvcc.write_index import WriteIndex
from splitbrain.histories.history import Operation
from splitbrain.histories.member_state import Change


class UnexplainedRevisions:
    """Reports revisions that no operation can have made, with the most likely cause."""

    def __init__(
        self, operations: Sequence[Operation], answers: Answers, findings: Findings
    ) -> None:
        self._operations = operations
        self._answers = answers
        self._findings = findings
        self._every_operation: WriteIndex | None = None

    def report(
        self, revision: int, changes: Sequence[Change], used: Mapping[int, int]
    ) -> None:
        """Report that no operation can have made the `changes` at `revision`.

        `used` maps the invocation of each uncertain write to the revision that is assigned to it.
        """
        what = f"revision {revision} contains {wording.changes(changes)}"
        if self._every_operation is None:
            self._every_operation = WriteIndex(self._operations)
        makers = self._every_operation.makers(changes)
        if len(makers) > 1 and all(change.kind == "delete" for change in changes):
            makers = []  # a delete has no value that would identify its operation
        for explained in (self._failed, self._twice, self._uncertain):
            if explained(revision, what, makers, used):
                return
        self._findings.add(
            "phantom write", f"{what}, and no remaining operation wrote it", revision=revision
        )

    def _failed(
        self, revision: int, what: str, makers: list[Operation], used: Mapping[int, int]
    ) -> bool:
        for op in makers:
            if op.outcome == "fail":
                self._findings.add(
                    "failed write present",
                    f"{what}, written by {wording.operation(op)}, which failed at "
                    f"{wording.seconds(op.ret or 0)}: {op.error or 'refused'}",
                    op, revision=revision,
                )
                return True
        return False

    def _twice(
        self, revision: int, what: str, makers: list[Operation], used: Mapping[int, int]
    ) -> bool:
        for op in makers:
            other = revision_of(op) if op.outcome == "ok" else used.get(op.invoked)
            if other is not None and other != revision:
                self._findings.add(
                    "applied twice",
                    f"{what}, written by {wording.operation(op)}, which already made revision "
                    f"{other}",
                    op, revision=revision,
                )
                return True
        return False

    def _uncertain(
        self, revision: int, what: str, makers: list[Operation], used: Mapping[int, int]
    ) -> bool:
        deadline = self._answers.deadline(revision)
        for op in makers:
            if op.outcome != "info":
                continue
            if deadline is not None and op.invoked > deadline:
                self._findings.add(
                    "write before its invocation",
                    f"{what}, written by {wording.operation(op)}, which was invoked at "
                    f"{wording.seconds(op.call)}, after an answer had shown this revision",
                    op, *self._answers.first_to_see(revision), revision=revision,
                )
            else:
                self._findings.add(
                    "wrong effect",
                    f"{what}; {wording.operation(op)} ({op.error or 'unanswered'}) writes it, but "
                    "its changes at this revision would have been different",
                    op, revision=revision,
                )
            return True
        return False
