"""A member that starts again counts its requests from the beginning."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.pending import RequestIds

MUTANT = Mutant(
    what="a request's id is met again after a restart",
    source="etcd's pkg/idutil: the middle part of an id is there so that it is unique after a"
    " restart",
    found_by=("write_path", "mvcc"),
)


def plant() -> None:
    honest = RequestIds.__init__

    def __init__(self: RequestIds, member: int, incarnation: int) -> None:
        honest(self, member, 0)

    RequestIds.__init__ = __init__  # type: ignore[method-assign]
