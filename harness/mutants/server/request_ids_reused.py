"""Bug: a restarted member counts its request ids from the beginning again."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.waiting_requests import RequestIds

MUTANT = Mutant(
    what="a request id is used again after a restart",
    source="etcd's pkg/idutil: the timestamp in an id makes it unique after a restart",
    found_by=("write_path", "mvcc"),
)


def plant() -> None:
    original = RequestIds.__init__

    def __init__(self: RequestIds, member: int, incarnation: int) -> None:
        original(self, member, 0)

    RequestIds.__init__ = __init__  # type: ignore[method-assign]
