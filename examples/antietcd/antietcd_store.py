"""Starts AntiEtcd members, and defines a client with registers and transactions over lists."""

import json
import shutil
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from splitbrain import Address, Definite, LocalMember, ProxiedProcesses, StoreClient


class AntiEtcd(ProxiedProcesses):
    """AntiEtcd members in their strict mode, unless the system option `stale_read` is 1."""

    name = "antietcd"
    proxied = ("client",)  # members use the same port as clients

    def versions(self) -> Mapping[str, str]:
        program = shutil.which("antietcd") or "antietcd"
        package = json.loads((Path(program).resolve().parent / "package.json").read_text())
        return {self.name: package["version"]}

    def command(self, member: LocalMember) -> Sequence[str]:
        urls = []
        for one in self.places.values():
            port = (one.ports if one is member else one.dialled)["client"]
            urls.append(f"{one.name}=http://{one.host}:{port}")
        return (
            "antietcd", "--ip", member.host, "--port", str(member.ports["client"]),
            "--node_id", member.name, "--cluster_key", "splitbrain", "--cluster", ",".join(urls),
            "--data", "data.gz",
            "--stale_read", str(self.options.system_options.get("stale_read", 0)),
        )

    def _status(self, member: str) -> dict[str, Any]:
        return _post(self._connect(member), "maintenance/status", {})

    def healthy(self, member: str) -> bool:
        return self._status(member).get("raftState") in ("leader", "follower")

    def leads(self, member: str) -> bool:
        return self._status(member).get("raftState") == "leader"

    def _connect(self, member: str) -> HTTPConnection:
        place = self.places[member]
        return HTTPConnection(place.host, place.ports["client"], timeout=1)


def _post(connection: HTTPConnection, path: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    connection.request("POST", f"/v3/{path}", json.dumps(body), headers)
    with connection.getresponse() as answer:
        text = answer.read()
        if answer.status != 200:
            raise OSError(f"HTTP status {answer.status}: {text.decode(errors='replace')}")
        return json.loads(text)


class AntiEtcdClient(StoreClient):
    def open(self, member: Address) -> None:
        self.connection = HTTPConnection(member.host, member.port, timeout=4)

    def close(self) -> None:
        self.connection.close()

    def read(self, key: int) -> int | None:
        return self._get([key])[key][0]

    def write(self, key: int, value: int) -> None:
        _post(self.connection, "kv/put", {"key": _encoded(key), "value": _encoded(value)})

    def txn(self, operations: list[list[Any]]) -> list[list[Any]]:
        seen = self._get(sorted({key for _, key, _ in operations}))
        lists = {key: value or [] for key, (value, _) in seen.items()}
        answers = []
        for f, key, value in operations:
            if f == "append":
                lists[key] = [*lists[key], value]
            answers.append([f, key, lists[key] if f == "r" else value])
        changed = {key for f, key, _ in operations if f == "append"}
        if changed and not _post(self.connection, "kv/txn", {
            "compare": [
                {"key": _encoded(key), "target": "MOD", "mod_revision": revision}
                for key, (_, revision) in seen.items()
            ],
            "success": [
                {"request_put": {"key": _encoded(key), "value": _encoded(lists[key])}}
                for key in changed
            ],
        })["succeeded"]:
            raise Definite("a list has changed since it was read")
        return answers

    def _get(self, keys: list[int]) -> dict[int, tuple[Any, int]]:
        """Return the value and the revision of each key, read in one transaction."""
        ranges = [{"request_range": {"key": _encoded(key)}} for key in keys]
        answers = _post(self.connection, "kv/txn", {"success": ranges})["responses"]
        found: dict[int, tuple[Any, int]] = dict.fromkeys(keys, (None, 0))
        for key, answer in zip(keys, answers, strict=True):
            for kv in answer["response_range"]["kvs"]:
                found[key] = json.loads(b64decode(kv["value"])), kv["mod_revision"]
        return found


def _encoded(value: Any) -> str:
    return b64encode(json.dumps(value).encode()).decode()
