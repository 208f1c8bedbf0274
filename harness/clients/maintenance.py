"""Maintenance operations of etcd members, over the JSON gateway."""

from __future__ import annotations

from splitbrain.harness.clients.administrator_session import AdministratorSession

OPERATION_TIMEOUT_S = 30.0


async def defragment(session: AdministratorSession, url: str) -> None:
    """Defragment the member's backend. Meanwhile the member serves no requests.

    Raises SystemFailed.
    """
    await session.post(url, "maintenance/defragment", {}, OPERATION_TIMEOUT_S)


async def read_snapshot(session: AdministratorSession, url: str) -> None:
    """Read a snapshot of the member's backend to its end, and drop it. Raises SystemFailed."""
    await session.post(url, "maintenance/snapshot", {}, OPERATION_TIMEOUT_S)


async def transfer_leadership(session: AdministratorSession, url: str, target_id: int) -> None:
    """Transfer the leadership from the leader at `url` to the member with the id `target_id`.

    Raises SystemFailed.
    """
    target: dict[str, object] = {"targetID": str(target_id)}
    await session.post(url, "maintenance/transfer-leadership", target, OPERATION_TIMEOUT_S)
