"""The exception with which the replay ends if an answer contradicts the search."""

from __future__ import annotations

from splitbrain.checkers.mvcc.key_taints import Gaps
from splitbrain.checkers.mvcc.refuted_choices import EVERYTHING, Dependence
from splitbrain.histories.history import Operation


class Conflict(Exception):
    """Raised if an answer contradicts the writers that the search chose for the revisions `gaps`.

    `kind` and `because` describe the anomaly that exists if no other choice is possible. `op` is
    the operation with the answer, if there is one. The conflict depends only on the state of the
    keys `on`, and on the writes that the gaps `users` use.
    """

    def __init__(
        self, *, gaps: Gaps, kind: str, because: str, op: Operation | None, revision: int,
        on: Dependence = EVERYTHING, users: Gaps = 0,
    ) -> None:
        super().__init__(because)
        self.gaps = gaps
        self.on = on
        self.users = users
        self.kind = kind
        self.because = because
        self.op = op
        self.revision = revision
