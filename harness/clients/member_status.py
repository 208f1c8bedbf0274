"""What `/v3/maintenance/status` says of a member, as far as agreement needs it."""

from __future__ import annotations

import msgspec

STATUS = "/v3/maintenance/status"
STATUS_TIMEOUT_S = 1.0


class _Header(msgspec.Struct):
    revision: int = 0


class Status(msgspec.Struct, rename="camel"):
    header: _Header = msgspec.field(default_factory=_Header)
    leader: int = 0
    raft_index: int = 0
    raft_applied_index: int = 0


_status_decoder = msgspec.json.Decoder(Status, strict=False)


def decode_status(body: bytes) -> Status:
    """Raises msgspec.MsgspecError."""
    return _status_decoder.decode(body)

