"""Bug: an unlock deletes a different key from the one in its request."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.lock_service import LockHandlers
from splitbrain.node.messages.lock import UnlockRequest, UnlockResponse

MUTANT = Mutant(
    what="a client that releases a lock still holds it",
    source="etcd's Lock service: an unlock deletes the key in the request",
    found_by=("fencing",),
    hunt={"workload": "lock"},
)


def plant() -> None:
    original = LockHandlers.unlock

    async def unlock(self: LockHandlers, request: UnlockRequest) -> UnlockResponse:
        return await original(self, replace(request, key=request.key + b"0"))

    LockHandlers.unlock = unlock  # type: ignore[method-assign]
