"""Handles Defragment, Snapshot and Downgrade of the Maintenance service.

Source: etcd 3.5.1, `server/etcdserver/api/v3rpc/maintenance.go`, `server/etcdserver/v3_server.go`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator

from splitbrain.node.api.member_interface import MemberPort
from splitbrain.node.messages import errors
from splitbrain.node.messages.auth_errors import untranslated
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.rpc import (
    DefragmentRequest,
    DefragmentResponse,
    DowngradeAction,
    DowngradeRequest,
    DowngradeResponse,
    SnapshotRequest,
    SnapshotResponse,
)
from splitbrain.node.storage.backup_file import blocks, encode_backup

CLUSTER_VERSION = "3.5.0"
BLOCK_BYTES = 32 * 1024
"""The size of one response of a snapshot, in bytes. Source: etcd's snapshotSendBufferSize."""

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?\Z")


class MaintenanceHandlers:
    """The handlers of Defragment, Snapshot and Downgrade of one member.

    Every handler can raise RpcError.
    """

    def __init__(self, member: MemberPort) -> None:
        self._member = member

    async def defragment(self, _request: DefragmentRequest) -> DefragmentResponse:
        """Rewrite the file of this member's backend without its free pages.

        As in etcd, buffered changes are flushed first, so that the space of deleted data is free
        when the file is rewritten.
        """
        await check_admin(self._member)
        await self._member.flush_backend()
        await self._member.backend.defragment()
        # etcd sends no header in this response.
        return DefragmentResponse()

    async def snapshot(self, _request: SnapshotRequest) -> AsyncGenerator[SnapshotResponse, None]:
        """Yield a consistent copy of this member's backend file, in pieces."""
        await check_admin(self._member)
        copy = await self._member.backend.snapshot()
        for blob, remaining in blocks(encode_backup(copy), BLOCK_BYTES):
            yield SnapshotResponse(remaining_bytes=remaining, blob=blob)

    async def downgrade(self, request: DowngradeRequest) -> DowngradeResponse:
        """Answer a request about a downgrade of the cluster. Only the action VALIDATE is supported.

        VALIDATE checks whether the cluster could be downgraded to the version in the request. This
        member can neither begin nor cancel a downgrade, so other actions are refused.
        """
        match request.action:
            case DowngradeAction.VALIDATE:
                check_format(request.version)
                await self._member.linearizable_read()
                check_downgrade(request.version)
                header = self._member.header()
                return DowngradeResponse(header=header, version=CLUSTER_VERSION)
            case DowngradeAction.CANCEL:
                raise errors.no_downgrade()
            case DowngradeAction.ENABLE:
                raise errors.unimplemented("/etcdserverpb.Maintenance/Downgrade")
            case _:
                raise errors.unknown_method()


async def check_admin(member: MemberPort) -> None:
    """Raise RpcError unless the client has the role root.

    The error is worded as in etcd's Maintenance service.
    """
    try:
        await member.auth.check_admin()
    except RpcError as refused:
        raise untranslated(refused) from refused


def check_format(version: str) -> re.Match[str]:
    """Return the parts of `version`. Raises RpcError if it is not a version, such as 3.4.0."""
    found = _VERSION.match(version)
    if found is None:
        raise errors.wrong_downgrade_version_format()
    return found


def check_downgrade(version: str) -> None:
    """Raise RpcError unless `version` is one minor version below the version of the cluster."""
    found = check_format(version)
    major, minor = (int(part) for part in CLUSTER_VERSION.split(".")[:2])
    if (int(found[1]), int(found[2])) != (major, minor - 1):
        raise errors.invalid_downgrade_version()
