"""The client of a request: how it sent the request, and how it identifies itself.

The carrier of a request (HTTP/JSON, gRPC) sets `CALLER` for the task that handles the request. A
request that the simulation hands to a handler directly has the default caller.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """The client of one request.

    `carrier` is "json" or "grpc"; it is empty if no carrier was used. `token` is the token of
    authentication, from the header "authorization" or from gRPC's metadata "token". With
    `require_leader`, the client wants an error instead of an answer if the member has no leader.
    `common_name` is that of the client's certificate, if it counts as the name of a user.
    """

    carrier: str = ""
    token: str = ""
    require_leader: bool = False
    common_name: str = ""


NOBODY = Caller()

CALLER: ContextVar[Caller] = ContextVar("caller", default=NOBODY)
