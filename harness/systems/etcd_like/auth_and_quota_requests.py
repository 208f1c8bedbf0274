"""Requests with which faults change the authentication, alarms and quotas of a cluster."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod

import msgspec

from splitbrain.harness.clients.administrator import Administrator
from splitbrain.harness.clients.administrator_session import AdministratorSession
from splitbrain.harness.systems.etcd_like.next_start import NextStarts
from splitbrain.harness.systems.etcd_like.request_failure import as_fault_error
from splitbrain.harness.systems.system import Address
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault_target import MemberName

ROOT, ROOT_PASSWORD = "root", "splitbrain"
TIMEOUT_S = 10.0
_ALREADY = "already exists"
_KEYS = {
    "key": base64.b64encode(b"k").decode(), "range_end": base64.b64encode(b"l").decode(),
    "permType": "READWRITE",
}


class _Header(msgspec.Struct, frozen=True):
    member_id: str = "0"


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    header: _Header = _Header()
    db_size: str = "0"


class _Alarm(msgspec.Struct, frozen=True):
    member: str = msgspec.field(name="memberID", default="0")
    alarm: str = "NONE"


class _Alarms(msgspec.Struct, frozen=True):
    alarms: tuple[_Alarm, ...] = ()


class Administration(ABC):
    """Changes users, alarms and quotas by etcd's API; implements `Authenticates`, `Limitable`."""

    administrator: Administrator
    _next_starts: NextStarts

    @abstractmethod
    def address(self, member: MemberName) -> Address: ...

    @abstractmethod
    def _requests(self) -> AdministratorSession: ...

    async def enable_authentication(self, at: MemberName) -> None:
        self.administrator = Administrator(ROOT, ROOT_PASSWORD)
        await self._post_new(at, "auth/user/add", {"name": ROOT, "password": ROOT_PASSWORD})
        await self._post_new(at, "auth/user/grant", {"user": ROOT, "role": ROOT})
        await self._post(at, "auth/enable", {})

    async def disable_authentication(self, at: MemberName) -> None:
        await self._post(at, "auth/disable", {})

    async def change_users(self, at: MemberName, number: int) -> None:
        user, role = f"user{number}", f"role{number}"
        await self._post_new(at, "auth/role/add", {"name": role})
        await self._post(at, "auth/role/grant", {"name": role, "perm": _KEYS})
        await self._post_new(at, "auth/user/add", {"name": user, "password": "first"})
        await self._post(at, "auth/user/grant", {"user": user, "role": role})
        await self._post(at, "auth/user/changepw", {"name": user, "password": "second"})
        await self._post(at, "auth/role/delete", {"role": role})
        await self._post(at, "auth/user/delete", {"name": user})

    async def raise_alarm(self, member: MemberName) -> None:
        status = await self._member_status(member)
        await self._alarm(member, "ACTIVATE", status.header.member_id)

    async def clear_alarms(self, at: MemberName) -> None:
        answer = await self._post(at, "maintenance/alarm", {"action": "GET"})
        for one in msgspec.json.decode(answer, type=_Alarms).alarms:
            await self._alarm(at, "DEACTIVATE", one.member, one.alarm)

    async def use_up_quota(self, member: MemberName) -> None:
        size_bytes = int((await self._member_status(member)).db_size)
        self._next_starts.quotas[member] = max(size_bytes, 1)

    def restore_quota(self, member: MemberName) -> None:
        self._next_starts.quotas.pop(member, None)

    async def _member_status(self, member: MemberName) -> _Status:
        answer = await self._post(member, "maintenance/status", {})
        return msgspec.json.decode(answer, type=_Status)

    async def _alarm(
        self, at: MemberName, action: str, member_id: str, alarm: str = "NOSPACE"
    ) -> None:
        request: dict[str, object] = {"action": action, "memberID": member_id, "alarm": alarm}
        await self._post(at, "maintenance/alarm", request)

    async def _post_new(self, at: MemberName, operation: str, request: dict[str, object]) -> None:
        """Send a request that creates an object. It is no error if the object exists already."""
        try:
            await self._post(at, operation, request)
        except FaultError as problem:
            if _ALREADY not in str(problem):
                raise

    async def _post(self, at: MemberName, operation: str, request: dict[str, object]) -> bytes:
        with as_fault_error():
            url = self.address(at).client_url
            return await self._requests().post(url, operation, request, TIMEOUT_S)
