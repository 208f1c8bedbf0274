"""Describes the client of the current request: its protocol, token and certificate.

The server of a protocol (HTTP with JSON, or gRPC) sets the context variable `CALLER` in the task
that handles a request. In a simulation, requests reach the handlers without a protocol, and
`CALLER` has its default.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """The client of one request.

    `carrier` is "json" or "grpc", or empty if no protocol was used. `token` is the token of
    authentication, from the header "authorization" or from gRPC's metadata "token". With
    `require_leader`, the client wants an error instead of an answer if the member has no leader.
    `common_name` is the common name in the client's certificate, if it is used as the name of a
    user, and otherwise "".
    """

    carrier: str = ""
    token: str = ""
    require_leader: bool = False
    common_name: str = ""


NOBODY = Caller()

CALLER: ContextVar[Caller] = ContextVar("caller", default=NOBODY)
