"""The harness reads a member's status as an administrator if the member refuses it without one."""

from __future__ import annotations

import asyncio

import pytest

from splitbrain.harness.clients.administrator import Administrator
from splitbrain.harness.clients.completion import Completion
from splitbrain.harness.clients.json_messages import Status
from splitbrain.harness.clients.session import EtcdClient, StatusRefused
from splitbrain.harness.clients.status_request import status_of
from splitbrain.histories.auth import Authenticate, AuthenticateResult
from splitbrain.histories.service_operation import AnyRequest

URL = "http://127.0.0.1:2379"
NO_USER = "etcdserver: user name is empty"


class Member(EtcdClient):
    """Tells its status only to a client that has logged in as root with the password "r"."""

    def __init__(self) -> None:
        self.logins = 0

    async def call(self, url: str, request: AnyRequest) -> Completion:
        self.logins += 1
        if request == Authenticate("root", "r"):
            return Completion("ok", AuthenticateResult(token="t"))
        return Completion("fail", None, "etcdserver: authentication failed")

    async def status(self, url: str, token: str = "") -> Status | None:
        if token != "t":
            raise StatusRefused(NO_USER)
        return Status(leader=7)


@pytest.mark.parametrize(
    ("administrator", "leader", "logins"),
    [
        (Administrator("root", "r"), 7, 1),
        (Administrator("root", "wrong"), None, 2),
        (Administrator(), None, 0),
    ],
)
def test_the_status_is_read_as_the_administrator(
    administrator: Administrator, leader: int | None, logins: int
) -> None:
    async def run() -> list[Status | None]:
        return [await status_of(member, URL, administrator) for _ in range(2)]

    member = Member()
    found = asyncio.run(run())
    assert [one and one.leader for one in found] == [leader, leader]
    assert member.logins == logins
