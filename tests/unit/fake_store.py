"""Implements a small store with etcd's JSON gateway in this process, for tests of the driver.

All members share one store, so it is always linearizable. A killed member refuses connections; a
paused member does not answer.
"""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

from aiohttp import web

from splitbrain.harness.systems.system import Address
from splitbrain.histories.member_state import Change, MemberState


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class FakeStore:
    """Keys with revisions and versions; a list of changes."""

    def __init__(self) -> None:
        self.revision = 1
        self.keys: dict[bytes, dict[str, Any]] = {}
        self.changes: list[Change] = []

    def header(self) -> dict[str, str]:
        return {
            "cluster_id": "1", "member_id": "2", "revision": str(self.revision), "raft_term": "1",
        }

    def put(self, request: dict[str, Any]) -> dict[str, Any]:
        self.revision += 1
        return {"header": self.header(), **self._put(request)}

    def _put(self, request: dict[str, Any]) -> dict[str, Any]:
        key = base64.b64decode(request["key"])
        old = self.keys.get(key)
        new = {
            "key": request["key"], "value": request.get("value", ""),
            "create_revision": old["create_revision"] if old else str(self.revision),
            "mod_revision": str(self.revision),
            "version": str(int(old["version"]) + 1 if old else 1),
        }
        self.keys[key] = new
        self.changes.append(Change(
            self.revision, "put", key.decode(), base64.b64decode(new["value"]).decode(),
            int(new["create_revision"]), int(new["version"]),
        ))
        return {"prev_kv": old} if request.get("prev_kv") and old else {}

    def range(self, request: dict[str, Any]) -> dict[str, Any]:
        first = base64.b64decode(request["key"])
        end = base64.b64decode(request.get("range_end", "")) or first + b"\0"
        kvs = [self.keys[key] for key in sorted(self.keys) if first <= key < end]
        limit = int(request.get("limit", 0)) or len(kvs)
        shown = [] if request.get("count_only") else kvs[:limit]
        answer: dict[str, Any] = {"header": self.header(), "count": str(len(kvs))}
        if shown:
            answer["kvs"] = shown
        if len(kvs) > limit:
            answer["more"] = True
        return answer

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        found = self.range(request).get("kvs", [])
        if found:
            self.revision += 1
        return {"header": self.header(), **self._delete(request)}

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        found = self.range({k: v for k, v in request.items() if k != "prev_kv"}).get("kvs", [])
        for one in found:
            key = base64.b64decode(one["key"])
            del self.keys[key]
            self.changes.append(Change(self.revision, "delete", key.decode()))
        answer = {"deleted": str(len(found))} if found else {}
        return {**answer, "prev_kvs": found} if request.get("prev_kv") and found else answer

    def txn(self, request: dict[str, Any]) -> dict[str, Any]:
        holds = all(self._holds(one) for one in request.get("compare", []))
        branch = request.get("success" if holds else "failure", [])
        writes = any("request_put" in one for one in branch)
        writes = writes or any(
            self.range(one["request_delete_range"]).get("kvs")
            for one in branch if "request_delete_range" in one
        )
        if writes:
            self.revision += 1
        responses = [self._branch(one) for one in branch]
        answer: dict[str, Any] = {"header": self.header(), "responses": responses}
        return {**answer, "succeeded": True} if holds else answer

    def _branch(self, one: dict[str, Any]) -> dict[str, Any]:
        header = {"revision": str(self.revision)}
        if "request_put" in one:
            return {"response_put": {"header": header, **self._put(one["request_put"])}}
        if "request_range" in one:
            return {"response_range": {**self.range(one["request_range"]), "header": header}}
        gone = self._delete(one["request_delete_range"])
        return {"response_delete_range": {"header": header, **gone}}

    def _holds(self, compare: dict[str, Any]) -> bool:
        found = self.keys.get(base64.b64decode(compare["key"]))
        target = compare["target"]
        if target == "VALUE":
            if found is None:
                return False
            left: Any = base64.b64decode(found["value"])
            right: Any = base64.b64decode(compare["value"])
        else:
            field = {
                "MOD": "mod_revision", "CREATE": "create_revision", "VERSION": "version",
            }[target]
            left, right = int(found[field]) if found else 0, int(compare[field])
        holds: dict[str, bool] = {
            "EQUAL": left == right, "NOT_EQUAL": left != right,
            "LESS": left < right, "GREATER": left > right,
        }
        return holds[compare["result"]]


class FakeSystem:
    """Members over one `FakeStore`. `spoil` may answer in a request's place."""

    name = "fake"

    def __init__(self, members: tuple[str, ...], folder: Path, **_: object) -> None:
        self.members = members
        self.folder = folder
        self.store = FakeStore()
        self.stopped = 0
        self._runners: dict[str, web.AppRunner] = {}
        self._ports: dict[str, int] = {}
        self._running = {member: asyncio.Event() for member in members}

    async def start(self) -> None:
        for member in self.members:
            (self.folder / member).mkdir(exist_ok=True)
            self.log_path(member).write_text(f"{member} is up\n")
            await self.restart(member)
            self._running[member].set()

    async def stop(self) -> None:
        self.stopped += 1
        for member in self.members:
            self._running[member].set()
            await self.kill(member)

    async def kill(self, member: str) -> None:
        runner = self._runners.pop(member, None)
        if runner is not None:
            await runner.cleanup()

    async def restart(self, member: str) -> None:
        if member in self._runners:
            return
        app = web.Application()
        for path, answer in {
            "/v3/kv/put": self.store.put, "/v3/kv/range": self.store.range,
            "/v3/kv/deleterange": self.store.delete, "/v3/kv/txn": self.store.txn,
            "/v3/maintenance/status": self._status,
        }.items():
            app.router.add_post(path, self._handler(member, answer))
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._ports.get(member, 0))
        await site.start()
        self._ports[member] = runner.addresses[0][1]
        self._runners[member] = runner

    async def pause(self, member: str) -> None:
        self._running[member].clear()

    async def resume(self, member: str) -> None:
        self._running[member].set()

    def _handler(self, member: str, answer: Any) -> Any:
        async def handle(request: web.Request) -> web.Response:
            await self._running[member].wait()
            reply = answer(json.loads(await request.read()))
            return web.json_response(reply)

        return handle

    def _status(self, request: dict[str, Any]) -> dict[str, Any]:
        return {
            "header": self.store.header(), "leader": "7", "raftTerm": "1",
            "raftIndex": str(self.store.revision), "raftAppliedIndex": str(self.store.revision),
        }

    def address(self, member: str) -> Address:
        port = self._ports[member]
        return Address(member, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}")

    def alive(self, member: str) -> bool:
        return member in self._runners

    async def leader(self) -> str | None:
        return self.members[0]

    async def state(self, member: str, at_revision: int | None = None) -> MemberState:
        return MemberState(
            member, revision=self.store.revision, hash=1, hash_revision=at_revision or 0,
            changes=tuple(self.store.changes),
        )

    def log_path(self, member: str) -> Path:
        return self.folder / member / "log"

    def trace_path(self, member: str) -> Path | None:
        return None

    def data_path(self, member: str) -> Path:
        return self.folder / member / "data"

    def versions(self) -> dict[str, str]:
        return {"fake": "1"}
