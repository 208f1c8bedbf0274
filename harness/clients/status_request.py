"""Asks a member for its status, as an administrator if the store requires one.

etcd from 3.5.28 refuses the status without a token while authentication is enabled.
"""

from __future__ import annotations

from splitbrain.harness.clients.administrator import Administrator
from splitbrain.harness.clients.json_messages import Status
from splitbrain.harness.clients.session import EtcdClient, StatusRefused
from splitbrain.histories.auth import Authenticate, AuthenticateResult


async def status_of(client: EtcdClient, url: str, administrator: Administrator) -> Status | None:
    """Return the status of the member at `url`, or None if it refuses or gives no answer."""

    async def ask(token: str) -> Status | None:
        return await client.status(url, token)

    async def log_in(name: str, password: str) -> str:
        completion = await client.call(url, Authenticate(name, password))
        if not isinstance(completion.result, AuthenticateResult):
            raise StatusRefused(completion.error)
        return completion.result.token

    try:
        return await administrator.send(ask, log_in, StatusRefused)
    except StatusRefused:
        return None
