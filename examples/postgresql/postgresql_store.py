"""Starts a PostgreSQL server, and defines a client with transactions."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors

from splitbrain import Address, LocalMember, LocalProcesses, StoreClient

BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/bin"))


class PostgreSQL(LocalProcesses):
    name = "postgresql"
    user = "postgres"
    version_command = (str(BINARIES / "postgres"), "--version")

    def command(self, member: LocalMember) -> Sequence[str]:
        port = str(member.ports["client"])
        server = f"exec {BINARIES}/postgres -D data -p {port} -h {member.host} -k ''"
        init = f"{BINARIES}/initdb -D data -U postgres -A trust >/dev/null"
        return ("/bin/sh", "-c", f"test -e data/PG_VERSION || {init}; {server}")

    def healthy(self, member: str) -> bool:
        place = self.places[member]
        port = str(place.ports["client"])
        ready = [str(BINARIES / "pg_isready"), "-q", "-h", place.host, "-p", port]
        return subprocess.run(ready, check=False).returncode == 0


class PostgreSQLClient(StoreClient):
    """Executes transactions at the isolation level `isolation`, such as "read-committed"."""

    definite = (errors.SerializationFailure, errors.DeadlockDetected, errors.CannotConnectNow)

    def __init__(self, isolation: str = "serializable") -> None:
        self.isolation = isolation.replace("-", " ")

    def open(self, member: Address) -> None:
        self.connection = psycopg.connect(
            host=member.host, port=member.port, user="postgres", connect_timeout=2, autocommit=True,
        )
        self.connection.execute(
            f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {self.isolation}"
        )

    def close(self) -> None:
        self.connection.close()

    def setup(self, value: Any = None) -> None:
        self.connection.execute("CREATE TABLE t (k int PRIMARY KEY, v text)")

    def txn(self, operations: list[list[Any]]) -> list[list[Any]]:
        with self.connection.transaction():
            return [self._operation(*one) for one in operations]

    def _operation(self, f: str, key: int, value: Any) -> list[Any]:
        row = self.connection.execute("SELECT v FROM t WHERE k = %s", (key,)).fetchone()
        read = None if row is None else json.loads(row[0])
        if f == "r":
            return [f, key, read]
        # The new list is made of what was read before, as many programs do.
        written = [*(read or []), value] if f == "append" else value
        self.connection.execute(
            "INSERT INTO t VALUES (%s, %s) ON CONFLICT (k) DO UPDATE SET v = excluded.v",
            (key, json.dumps(written)),
        )
        return [f, key, value]
